/*
 * A replacement for bcryptprimitives.dll, which wine 8 lacks, with the only function that Rust's
 * standard library imports from it.
 */
#include <windows.h>

/* advapi32 exports RtlGenRandom under this name. */
BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size > 0) {
        ULONG piece = size < 0x10000000 ? (ULONG)size : 0x10000000;
        if (!SystemFunction036(data, piece))
            return FALSE;
        data += piece;
        size -= piece;
    }
    return TRUE;
}
