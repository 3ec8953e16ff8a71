/* SPDX-License-Identifier: MIT
 *
 * Texts of the host as guest strings.
 *
 * Characters of an ASCII string follow its header, whose size is found at start.
 *
 * Needs the guest GIL.
 */
#include "crossing.h"

static size_t header;           /* 0: not known */

void pb_text_start(void)
{
    ssize_t length = 0;
    pb_obj sample = G.PyUnicode_FromString("pybridge measures this");
    if (sample == NULL) {
        G.PyErr_Clear();
        return;
    }
    const char *bytes = G.PyUnicode_AsUTF8AndSize(sample, &length);     /* borrowed from sample */
    if (bytes != NULL && bytes > (char *)sample && bytes - (char *)sample <= 64)
        header = (size_t)(bytes - (char *)sample);
    pb_drop(sample);
}

static int is_ascii(const char *bytes, size_t length)
{
    uint64_t bits = 0, word;
    for (; length >= 32; bytes += 32, length -= 32) {
        uint64_t words[4];
        memcpy(words, bytes, sizeof words);
        bits |= words[0] | words[1] | words[2] | words[3];
        if (bits & UINT64_C(0x8080808080808080))
            return 0;
    }
    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&word, bytes, sizeof word);
        bits |= word;
    }
    while (length > 0)
        bits |= (uint64_t)(unsigned char)bytes[--length];
    return (bits & UINT64_C(0x8080808080808080)) == 0;
}

/* new, or NULL with an error set */
static pb_obj ascii_make(const char *bytes, size_t length)
{
    pb_obj text = G.PyUnicode_New((ssize_t)length, 127);
    if (text != NULL)
        memcpy((char *)text + header, bytes, length);
    return text;
}

pb_obj pb_text_make(const char *bytes, int64_t length)
{
    if (header != 0 && length > 1 && is_ascii(bytes, (size_t)length))   /* CPython has those of one */
        return ascii_make(bytes, (size_t)length);
    return G.PyUnicode_DecodeUTF8(bytes, length, "surrogatepass");
}

int64_t pb_text_new(pb_frame *f, const char *text, int64_t length)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, 1, &word);
    if (t == NULL)
        return word;
    pb_obj o = pb_text_make(text, length);
    return crossing_end_plain(t, f, o == NULL, PB_OBJECT, (int64_t)(intptr_t)o);
}
