/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata of a capability: a map of strings that a provide frame carries as it is. */
#include "envelope/frame/frame.h"
#include "envelope/msgpack_bytes.h"

loom_status frame_metadata_read(loom_bytes metadata, loom_header *out, size_t max, size_t *count)
{
    *count = 0;
    if (metadata.len == 0) {
        return LOOM_OK;
    }
    mp_reader r = {metadata.data, metadata.data + metadata.len};
    uint32_t pairs;
    if (!mp_read_map(&r, &pairs)) {
        return LOOM_EMALFORMED;
    }
    if (pairs > max) {
        return LOOM_ETOOBIG;
    }
    for (uint32_t i = 0; i < pairs; i++) {
        if (!mp_read_str(&r, &out[i].key) || !mp_read_str(&r, &out[i].value)) {
            return LOOM_EMALFORMED;
        }
    }
    if (r.at != r.end) {
        return LOOM_EMALFORMED;
    }
    *count = pairs;
    return LOOM_OK;
}

/* Bytes of a str with its header, in the form mp_put_str() chooses. */
static size_t str_size(loom_str s)
{
    return s.len + (s.len < 32 ? 1 : s.len <= UINT8_MAX ? 2 : 3);
}

loom_status frame_metadata_write(uint8_t *out, size_t size, const loom_header *entries, size_t count, size_t *len)
{
    size_t need = count < 16 ? 1 : 3;
    *len = 0;
    if (count == 0) {
        return LOOM_OK;
    }
    if (count > FRAME_METADATA_MAX) {
        return LOOM_ETOOBIG;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].key.len > LOOM_HEADERS_MAX || entries[i].value.len > LOOM_HEADERS_MAX) {
            return LOOM_ETOOBIG; /* before the sum, which could wrap */
        }
        need += str_size(entries[i].key) + str_size(entries[i].value);
    }
    if (need > LOOM_HEADERS_MAX || need > size) {
        return LOOM_ETOOBIG;
    }
    uint8_t *p = out;
    if (count < 16) {
        *p++ = (uint8_t)(MP_FIXMAP | count);
    } else {
        *p++ = MP_MAP16;
        *p++ = 0;
        *p++ = (uint8_t)count; /* FRAME_METADATA_MAX fits in a byte */
    }
    for (size_t i = 0; i < count; i++) {
        p = mp_put_str(p, entries[i].key);
        p = mp_put_str(p, entries[i].value);
    }
    *len = (size_t)(p - out);
    return LOOM_OK;
}
