/* Written by handshake.py, which has the formulas. Hex texts. */
#pragma once

#include <stdint.h>

static const struct handshake_vector {
	const char *name;
	const char *initiator;
	const char *responder;
	const char *ephemeral_i;
	const char *ephemeral_r;
	const char *psk;
	const char *cookie;
	int64_t wall_ns;
	uint32_t index_i, index_r;
	const char *initiation;
	const char *response;
	const char *key_i;
	const char *key_r;
	const char *keepalive;
} handshake_vectors[] = {
	{
		.name = "plain",
		.initiator = "a9f10d7fe923555a9327ae59582fc0dfcb173e3037b7e22aa07488431a7ae158",
		.responder = "b04984b16de71abed66ab9464e15e91de8d420cdb5ea73c19f311bdaf5621d4f",
		.ephemeral_i = "5fbd04b895f3ddbcdd7599a599dd2eee85778703dabd07aef5f42911320c20bf",
		.ephemeral_r = "ecf0b51bb53d03a436f7615fe04a7d1dc8ec3d39c68c19ce162534c4088a9c03",
		.psk = "0000000000000000000000000000000000000000000000000000000000000000",
		.cookie = "",
		.wall_ns = INT64_C(1790000123987654321),
		.index_i = 0x11223344u,
		.index_r = 0xa1b2c3d4u,
		.initiation = "0100000044332211ea63a85dd923e8a4874d9b62c008e6b02b9a91e47dbf0e99"
			      "d930e50e977c685d733c01187c10eacc5e8861c7dbec0206fb313740a68d75b0"
			      "3ed552479599f185366cb3984f279f9721dbc8db02d0781852a9e51845bd3f41"
			      "1227edf1f86ba15f77407adc2f45cd3d1f0aa50a5768e65a70388ba1dfe9b802"
			      "effdb0c000000000000000000000000000000000",
		.response = "02000000d4c3b2a144332211a47aa7d748ba65329cb227a676843a89a0efe969"
			    "4c81a2ca5e074ade7cd05e5d836afd362e905e801e968e1390127973ffcc4fc8"
			    "67ab06e5ee607a8f29b8193900000000000000000000000000000000",
		.key_i = "415d773726ce8bff95d4ce74f99e98e2ccbbac05953ec6ac731369b20bdd447c",
		.key_r = "cae608ed9ba67cf16038b424de55a719686895491a90419aa52121716ca82ee0",
		.keepalive = "04000000d4c3b2a100000000000000009c320f52a843874cc4249a258071c15a",
	},
	{
		.name = "psk and cookie",
		.initiator = "33860bc19f6b8f269e293bb6c861ffe52127af5c083d420abc013360f2abddab",
		.responder = "2548464c646c4209b5378e0fbc3d1351b140ac80b0b29ec801484a6c906a8580",
		.ephemeral_i = "c8586811d937ce6358e83cd0f078c3143aa31391c4a23a22c4e0e37b908ba5c9",
		.ephemeral_r = "95a935996d42c58350c73cecdf51e43257264ea43c3a9ecb9d4d9caaf5acb171",
		.psk = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
		.cookie = "000102030405060708090a0b0c0d0e0f",
		.wall_ns = INT64_C(1790000123987654321),
		.index_i = 0x11223344u,
		.index_r = 0xa1b2c3d4u,
		.initiation = "010000004433221196e5bddc373a119276474d7bffa7923a0db1f7a5db911309"
			      "a8cc2b0e9895c8120dc72622bc6573c693f505128f1425bf9720ac1edeeacb03"
			      "ddc59bc50fae5e2b647190678d7956936ef0f7c39745f60148afdb5228823069"
			      "34f5beaffb39758ddab3b92735c5f0d454ac1318bacc1c206f58538949189e1a"
			      "d1f703c07b10571a885dba4a50d49834a0b7c0b9",
		.response = "02000000d4c3b2a1443322119dd53514af187ab721879fbfb61bced800c732a7"
			    "3b72b572b03f96263971c4388b82ecfeffaad1fef35b1468996266a5a393bd95"
			    "ea805277e8e647a1efb5a65d00000000000000000000000000000000",
		.key_i = "966ac2c86bebbe4d136dd61b7805fd3153f6e98842ce988dce31180338f09563",
		.key_r = "db593595dac224ffd62fbc01119688f7e240ed6bf975ecc4c02c670eb08e021d",
		.keepalive = "04000000d4c3b2a10000000000000000d2647431c9cccdc879b2346e3732a6cf",
	},
};
