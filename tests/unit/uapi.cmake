fz_test(uapi SOURCES unit/test_uapi.c unit/uapi_talk.c DEPS fz::uapi fz::wg fz::crypto)
fz_test(uapi_stream SOURCES unit/test_uapi_stream.c unit/uapi_talk.c DEPS fz::uapi fz::wg fz::crypto)
fz_test(options SOURCES unit/test_options.c DEPS fz::wgdev)
