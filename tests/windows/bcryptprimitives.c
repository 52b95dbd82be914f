/* The one function that Rust's standard library wants from bcryptprimitives.dll. Windows has it, wine 8 has not. */
#include <windows.h>

/* What advapi32 calls RtlGenRandom. */
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
