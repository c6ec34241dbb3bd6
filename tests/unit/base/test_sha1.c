/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha1.h"
#include "tests/support/check.h"

static void assert_digest(const char *hex, const void *data, size_t len)
{
    uint8_t digest[SHA1_SIZE];
    char text[2 * SHA1_SIZE + 1];
    sha1(digest, data, len);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(hex, text);
}

static void the_vectors_of_rfc_3174_and_fips_180_hold(void **state)
{
    (void)state;
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static char million[1000000];
    memset(million, 'a', sizeof million);
    assert_digest("da39a3ee5e6b4b0d3255bfef95601890afd80709", NULL, 0);
    assert_digest("a9993e364706816aba3e25717850c26c9cd0d89d", "abc", 3);
    assert_digest("84983e441c3bd26ebaae4aa1f95129e5e54670f1", two_blocks, strlen(two_blocks));
    assert_digest("34aa973cd4c4daa4f61eeb2bdbad27316534016f", million, sizeof million);
}

/* 55 bytes leave just room for the length in the same block, 56 do not. */
static void lengths_around_the_end_of_a_block_are_padded_right(void **state)
{
    (void)state;
    char text[64];
    memset(text, 'a', sizeof text);
    assert_digest("c1c8bbdc22796e28c0e15163d20899b65621d65a", text, 55);
    assert_digest("c2db330f6083854c99d4b5bfb6e8f29f201be699", text, 56);
    assert_digest("03f09f5b158a7a8cdad920bddc29b81c18a551f5", text, 63);
    assert_digest("0098ba824b5c16427bd7a1122a5a442a25ec644d", text, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_3174_and_fips_180_hold),
        cmocka_unit_test(lengths_around_the_end_of_a_block_are_padded_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
