# WireGuard's pure core. sim/engine.c is the shell around a device in virtual time.
foreach(name allowedips cookie device index noise packet ratelimit replay schedule staging timers)
  fz_test(${name} SOURCES unit/test_${name}.c sim/engine.c DEPS fz::wg fz::crypto)
endforeach()
