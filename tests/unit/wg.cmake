# WireGuard's pure core. sim/engine.c is the shell around a device in virtual time.
foreach(name allowedips config cookie device index load managed noise packet ratelimit receive replay schedule sessions staging timers)
  fz_test(${name} SOURCES unit/test_${name}.c sim/engine.c DEPS fz::wg fz::crypto)
endforeach()
