/* SPDX-License-Identifier: MIT
 *
 * Operators: one function pointer each, in the order of the enum in host.h (ORDER OPS).  Operands
 * are owned meanwhile: see call.c.
 */
#include "crossing.h"

typedef pb_obj (*unary)(pb_obj);
typedef pb_obj (*binary)(pb_obj, pb_obj);

#define AT(name) offsetof(struct pb_api, name)

/* ORDER OPS */
static const size_t functions[PB_OPERATIONS] = {
    [PB_ADD] = AT(PyNumber_Add), [PB_SUB] = AT(PyNumber_Subtract), [PB_MUL] = AT(PyNumber_Multiply),
    [PB_MATMUL] = AT(PyNumber_MatrixMultiply), [PB_TRUEDIV] = AT(PyNumber_TrueDivide),
    [PB_FLOORDIV] = AT(PyNumber_FloorDivide), [PB_MOD] = AT(PyNumber_Remainder),
    [PB_DIVMOD] = AT(PyNumber_Divmod), [PB_LSHIFT] = AT(PyNumber_Lshift), [PB_RSHIFT] = AT(PyNumber_Rshift),
    [PB_AND] = AT(PyNumber_And), [PB_XOR] = AT(PyNumber_Xor), [PB_OR] = AT(PyNumber_Or),
    [PB_POW] = AT(PyNumber_Power),
    [PB_IADD] = AT(PyNumber_InPlaceAdd), [PB_ISUB] = AT(PyNumber_InPlaceSubtract),
    [PB_IMUL] = AT(PyNumber_InPlaceMultiply), [PB_IMATMUL] = AT(PyNumber_InPlaceMatrixMultiply),
    [PB_ITRUEDIV] = AT(PyNumber_InPlaceTrueDivide), [PB_IFLOORDIV] = AT(PyNumber_InPlaceFloorDivide),
    [PB_IMOD] = AT(PyNumber_InPlaceRemainder), [PB_ILSHIFT] = AT(PyNumber_InPlaceLshift),
    [PB_IRSHIFT] = AT(PyNumber_InPlaceRshift), [PB_IAND] = AT(PyNumber_InPlaceAnd),
    [PB_IXOR] = AT(PyNumber_InPlaceXor), [PB_IOR] = AT(PyNumber_InPlaceOr), [PB_IPOW] = AT(PyNumber_InPlacePower),
    [PB_NEG] = AT(PyNumber_Negative), [PB_POS] = AT(PyNumber_Positive), [PB_ABS] = AT(PyNumber_Absolute),
    [PB_INVERT] = AT(PyNumber_Invert), [PB_AS_INT] = AT(PyNumber_Long), [PB_AS_FLOAT] = AT(PyNumber_Float),
    [PB_AS_INDEX] = AT(PyNumber_Index),
    [PB_GETITEM] = AT(PyObject_GetItem),
    [PB_REPR] = AT(PyObject_Repr), [PB_TEXT] = AT(PyObject_Str),
    [PB_TYPE] = AT(PyObject_Type), [PB_DIR] = AT(PyObject_Dir),
};

/* Cells, from *at on, that are an operand. new, or NULL with an error set */
static pb_obj operate(int64_t operation, pb_obj self /*borrowed*/, pb_obj other /*borrowed*/, const pb_frame *f, int64_t *at)
{
    char *function = (char *)&G + functions[operation];
    pb_obj modulus = NULL, out = NULL;

    if (operation >= PB_LT && operation <= PB_GE)
        return G.PyObject_RichCompare(self, other, (int)(operation - PB_LT));
    if (operation != PB_POW && operation != PB_IPOW)
        return (*(binary *)(void *)function)(self, other);
    modulus = pb_take(f, at);
    if (modulus != NULL)
        out = (operation == PB_POW ? G.PyNumber_Power : G.PyNumber_InPlacePower)(self, other, modulus);
    pb_xdrop(modulus);
    return out;
}

static int64_t operate_unary(pb_frame *f, int64_t operation, pb_thread *t, pb_obj self)
{
    int64_t n = 0;
    pb_obj out = NULL;
    pb_dup(self);
    switch (operation) {
    case PB_LEN:
        n = G.PyObject_Size(self);
        break;
    case PB_HASH:
        n = G.PyObject_Hash(self);
        break;
    case PB_TRUTH:
        n = G.PyObject_IsTrue(self);
        break;
    case PB_ITER:
        out = G.PyObject_GetIter(self);
        break;
    default:
        out = (*(unary *)(void *)((char *)&G + functions[operation]))(self);
    }
    pb_drop(self);
    if (operation == PB_LEN || operation == PB_HASH)
        return crossing_end_plain(t, f, n == -1, PB_INT, n);
    if (operation == PB_TRUTH)
        return crossing_end_plain(t, f, n < 0, n ? PB_TRUE : PB_FALSE, 0);
    if (operation == PB_ITER && out != NULL && pb_fetchable(out))
        return crossing_end_plain(t, f, 0, PB_WORD(PB_OBJECT, PB_LIST_ITERATOR), (int64_t)(intptr_t)out);
    return crossing_end(t, f, out);
}

static int64_t operate_item(pb_frame *f, int64_t operation, pb_thread *t, pb_obj self)
{
    int64_t at = 0, word = PB_NONE;
    int status = -1;
    pb_dup(self);
    pb_obj value = NULL, key = pb_take(f, &at);
    if (key == NULL)
        goto done;
    switch (operation) {
    case PB_CONTAINS:
        status = G.PySequence_Contains(self, key);
        word = status > 0 ? PB_TRUE : PB_FALSE;
        break;
    case PB_DELITEM:
        status = G.PyObject_DelItem(self, key);
        break;
    default:
        value = pb_take(f, &at);
        if (value != NULL)
            status = G.PyObject_SetItem(self, key, value);
    }
done:
    pb_xdrop(value);
    pb_xdrop(key);
    pb_drop(self);
    return crossing_end_plain(t, f, status < 0, word, 0);
}

static int64_t operate_binary(pb_frame *f, int64_t operation, pb_thread *t, pb_obj self, int reflected)
{
    int64_t at = 0;
    pb_dup(self);
    pb_obj out = NULL, other = pb_take(f, &at);
    if (other != NULL)
        out = reflected ? operate(operation, other, self, f, &at) : operate(operation, self, other, f, &at);
    pb_xdrop(other);
    pb_drop(self);
    return crossing_end(t, f, out);
}

int64_t pb_operate(pb_frame *f, int64_t operation, intptr_t self)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    if (operation <= PB_IPOW || (operation >= PB_LT && operation <= PB_GETITEM))
        return operate_binary(f, operation, t, (pb_obj)self, 0);
    if (operation >= PB_SETITEM && operation <= PB_CONTAINS)
        return operate_item(f, operation, t, (pb_obj)self);
    return operate_unary(f, operation, t, (pb_obj)self);
}

int64_t pb_operate_reflected(pb_frame *f, int64_t operation, intptr_t self)
{
    int64_t word = 0;
    pb_thread *t = crossing_begin(f, self, &word);
    if (t == NULL)
        return word;
    return operate_binary(f, operation, t, (pb_obj)self, 1);
}
