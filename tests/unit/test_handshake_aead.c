/* The two single AEADs of the handshake against RFC 8439 (A.5) and draft-irtf-cfrg-xchacha (A.3.1), and everything that must not open. */
#include "crypto/handshake_aead.h"
#include "crypto/xchacha.h"
#include "support/test.h"

TEST(handshake_aead, the_decryption_example_of_rfc_8439_opens)
{
	TEST_HEX(key_bytes, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	TEST_HEX(aad, "f33388860000000000004e91");
	TEST_HEX(sealed, "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
			 "4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
			 "332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
			 "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
			 "b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
			 "af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
			 "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
			 "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
			 "a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38");
	static const char text[] = "Internet-Drafts are draft documents valid for a maximum of six "
				   "months";
	const uint64_t counter = 0x0807060504030201; /* behind four zero bytes, as here */
	struct fz_key key;
	uint8_t plain[300], again[300];
	memcpy(key.b, key_bytes, 32);
	CHECK(fz_aead_open(
		&key, counter, fz_bytes_of(aad, aad_len), fz_bytes_of(sealed, sealed_len), plain));
	CHECK_MEM(plain, text, sizeof(text) - 1);
	fz_aead_seal(&key, counter, fz_bytes_of(aad, aad_len), fz_bytes_of(plain, sealed_len - 16),
		again);
	CHECK_MEM(again, sealed, sealed_len);
}

TEST(handshake_aead, no_changed_bit_of_message_or_additional_data_opens)
{
	struct fz_key key = { { 1 } };
	uint8_t aad[32] = { 7 }, sealed[48], plain[32] = { 5 }, got[32];
	fz_aead_seal(&key, 0, fz_bytes_of(aad, 32), fz_bytes_of(plain, 32), sealed);
	for (size_t bit = 0; bit < 8 * 48; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!fz_aead_open(&key, 0, fz_bytes_of(aad, 32), fz_bytes_of(sealed, 48), got));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * 32; bit++) {
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!fz_aead_open(&key, 0, fz_bytes_of(aad, 32), fz_bytes_of(sealed, 48), got));
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CHECK(!fz_aead_open(&key, 1, fz_bytes_of(aad, 32), fz_bytes_of(sealed, 48), got));
	CHECK(fz_aead_open(&key, 0, fz_bytes_of(aad, 32), fz_bytes_of(sealed, 48), got));
	CHECK_MEM(got, plain, 32);
}

TEST(handshake_aead, what_is_shorter_than_a_tag_does_not_open)
{
	struct fz_key key = { { 1 } };
	uint8_t sealed[16] = { 0 }, got[1];
	for (size_t n = 0; n < 16; n++) {
		CHECK(!fz_aead_open(&key, 0, (struct fz_bytes){ 0 }, fz_bytes_of(sealed, n), got));
		CHECK(!fz_xaead_open(&key, (uint8_t[24]){ 0 }, (struct fz_bytes){ 0 },
			fz_bytes_of(sealed, n), got));
	}
}

TEST(handshake_aead, an_empty_message_is_its_tag)
{
	struct fz_key key = { { 1 } };
	uint8_t sealed[16], got[1];
	fz_aead_seal(&key, 0, fz_bytes_of("h", 1), (struct fz_bytes){ 0 }, sealed);
	CHECK(fz_aead_open(&key, 0, fz_bytes_of("h", 1), fz_bytes_of(sealed, 16), got));
	CHECK(!fz_aead_open(&key, 0, fz_bytes_of("i", 1), fz_bytes_of(sealed, 16), got));
}

TEST(xchacha, the_example_of_the_draft_holds)
{
	TEST_HEX(want, "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
		       "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
		       "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		       "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780a"
		       "cf49");
	static const char text[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
		"the future, sunscreen would be it.";
	TEST_HEX(aad, "50515253c0c1c2c3c4c5c6c7");
	struct fz_key key;
	uint8_t nonce[FZ_XAEAD_NONCE_LEN], got[200], plain[200];
	for (size_t i = 0; i < 32; i++)
		key.b[i] = (uint8_t)(0x80 + i);
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)(0x40 + i);
	CHECK_UINT(want_len, sizeof(text) - 1 + 16);
	fz_xaead_seal(
		&key, nonce, fz_bytes_of(aad, aad_len), fz_bytes_of(text, sizeof(text) - 1), got);
	CHECK_MEM(got, want, want_len);
	CHECK(fz_xaead_open(
		&key, nonce, fz_bytes_of(aad, aad_len), fz_bytes_of(want, want_len), plain));
	CHECK_MEM(plain, text, sizeof(text) - 1);
}

TEST(xchacha, no_changed_bit_opens)
{
	struct fz_key key = { { 1 } };
	uint8_t nonce[FZ_XAEAD_NONCE_LEN] = { 2 }, mac1[16] = { 3 }, cookie[16] = { 4 }, sealed[32],
		got[16];
	struct fz_bytes aad = fz_bytes_of(mac1, 16), message = fz_bytes_of(sealed, 32);
	fz_xaead_seal(&key, nonce, aad, fz_bytes_of(cookie, 16), sealed);
	uint8_t *const parts[] = { nonce, mac1, sealed, key.b };
	static const size_t lens[] = { sizeof(nonce), 16, 32, 32 };
	for (size_t p = 0; p < 4; p++) {
		for (size_t bit = 0; bit < 8 * lens[p]; bit++) {
			parts[p][bit / 8] ^= (uint8_t)(1 << bit % 8);
			CHECK(!fz_xaead_open(&key, nonce, aad, message, got));
			parts[p][bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	CHECK(fz_xaead_open(&key, nonce, aad, message, got));
	CHECK_MEM(got, cookie, 16);
}
