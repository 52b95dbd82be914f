/* The only function that Rust's standard library imports from bcryptprimitives.dll, which wine 8 does not have. */
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
