# Several engines in virtual time. SIM_SEED and SIM_HOURS repeat or lengthen a run.
fz_test(sim SOURCES sim/test_sim.c sim/world.c sim/world_check.c sim/engine.c DEPS fz::wg fz::crypto)
