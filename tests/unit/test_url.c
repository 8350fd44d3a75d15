/* Portal URLs, the login's query, the user agent, form and base64 coding. */
#include <errno.h>

#include "control/url.h"
#include "support/test.h"

TEST(url, schemes_ports_and_paths_are_read)
{
	struct fzp_url u;
	CHECK_INT(fzp_url_parse("wss://api.firezone.dev/", &u), 0);
	CHECK(u.tls && u.port == 443);
	CHECK_STR(u.host, "api.firezone.dev");
	CHECK_STR(u.path, "");
	CHECK_INT(fzp_url_parse("http://[fd00::1]:8081/base/", &u), 0);
	CHECK(!u.tls && u.port == 8081 && u.host_is_ipv6);
	CHECK_STR(u.host, "fd00::1");
	CHECK_STR(u.path, "/base");
}

TEST(url, a_missing_port_is_443_whatever_the_scheme)
{
	struct fzp_url u;
	CHECK_INT(fzp_url_parse("ws://portal.example", &u), 0);
	CHECK_UINT(u.port, 443);
}

TEST(url, what_is_no_portal_url_is_refused_and_leaves_the_output_alone)
{
	static const char *const bad[] = { "", "ftp://x", "wss://", "wss://a:0", "wss://a:65536",
		"wss://a:", "wss://a:1x", "wss://user@host", "wss://host?q=1", "wss://host/p#f",
		"wss://[::1", "wss://[1.2.3.4]", "wss://a b", "host" };
	struct fzp_url u = { .port = 7 };
	for (size_t i = 0; i < FZ_ARRAY_LEN(bad); i++)
		CHECK_INT(fzp_url_parse(bad[i], &u), -EINVAL);
	CHECK_UINT(u.port, 7);
}

TEST(url, the_login_target_is_what_upstreams_gateway_sent)
{
	uint8_t key[32];
	CHECK_INT(
		fzp_base64_decode("mrTgLuy+8eJoeF4RzHFhVCfIEPZLZo0vOWoZnMo9h3s=", key, sizeof(key)),
		0);
	struct fzp_url u;
	CHECK_INT(fzp_url_parse("ws://10.91.0.1:8081", &u), 0);
	struct fzp_login login = { FZP_GATEWAY,
		"11e594f481958c10e3015d0bf0447a22f068a8a647f475df15ce2c7ab4b8f3f1", "test-gateway",
		NULL, NULL, key };
	char target[FZP_TARGET_MAX];
	CHECK_INT(fzp_login_target(&u, &login, target), 0);
	CHECK_STR(target,
		"/gateway/v2/"
		"websocket?external_id="
		"11e594f481958c10e3015d0bf0447a22f068a8a647f475df15ce2c7ab4b8f3f1"
		"&name=test-gateway&public_key=mrTgLuy%2B8eJoeF4RzHFhVCfIEPZLZo0vOWoZnMo9h3s%3D");
}

TEST(url, a_login_that_does_not_fit_is_refused)
{
	char name[FZP_TARGET_MAX + 1];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	uint8_t key[32] = { 0 };
	struct fzp_url u;
	CHECK_INT(fzp_url_parse("wss://a", &u), 0);
	struct fzp_login login = { FZP_CLIENT, "id", name, NULL, NULL, key };
	char target[FZP_TARGET_MAX];
	CHECK_INT(fzp_login_target(&u, &login, target), -ENOSPC);
}

TEST(agent, has_the_shape_the_portal_parses)
{
	char text[FZP_AGENT_MAX];
	struct fzp_agent a = { "Debian", "12", "headless-client", "1.5.12", "x86_64", "6.1.0" };
	fzp_user_agent(&a, text);
	CHECK_STR(text, "Debian/12.0.0 headless-client/1.5.12 (x86_64; 6.1.0)");
	a.os_name = "Ub\xc3\xbcntu Linux";
	a.os_version = "24.04";
	a.kernel = "";
	fzp_user_agent(&a, text);
	CHECK_STR(text, "UbntuLinux/24.4.0 headless-client/1.5.12 (x86_64)");
}

TEST(form, encoding_and_decoding_are_inverse)
{
	static const char plain[] = "a b+c/d=%\xc3\xa9&";
	char coded[128] = "", back[64];
	struct fz_writer w = fz_writer_of(fz_span_of(coded, sizeof(coded) - 1));
	fzp_form_encode(&w, plain);
	CHECK_STR(coded, "a+b%2Bc%2Fd%3D%25%C3%A9%26");
	CHECK_INT(fzp_form_decode(fz_bytes_of_str(coded), back, sizeof(back)), 0);
	CHECK_STR(back, plain);
}

TEST(form, bad_escapes_nul_and_overlong_texts_are_refused)
{
	char out[4];
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("%"), out, sizeof(out)), -EINVAL);
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("%4"), out, sizeof(out)), -EINVAL);
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("%zz"), out, sizeof(out)), -EINVAL);
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("%00"), out, sizeof(out)), -EINVAL);
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("abcd"), out, sizeof(out)), -ENOSPC);
	CHECK_INT(fzp_form_decode(fz_bytes_of_str("abc"), out, sizeof(out)), 0);
}

TEST(base64, rfc_4648_vectors_encode)
{
	static const char *const vectors[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };
	for (size_t i = 0; i < FZ_ARRAY_LEN(vectors); i++) {
		char out[16] = "", back[8] = "";
		struct fz_writer w = fz_writer_of(fz_span_of(out, sizeof(out) - 1));
		fzp_base64_encode(&w, fz_bytes_of_str(vectors[i][0]));
		CHECK_STR(out, vectors[i][1]);
		CHECK_INT(fzp_base64_decode(out, (uint8_t *)back, strlen(vectors[i][0])), 0);
		CHECK_STR(back, vectors[i][0]);
	}
}

TEST(base64, wrong_lengths_digits_and_stray_bits_are_refused)
{
	uint8_t out[8];
	CHECK_INT(fzp_base64_decode("Zg=", out, 1), -EINVAL);
	CHECK_INT(fzp_base64_decode("Zh==", out, 1), -EINVAL);
	CHECK_INT(fzp_base64_decode("Z-==", out, 1), -EINVAL);
	CHECK_INT(fzp_base64_decode("Zm9v", out, 2), -EINVAL);
}
