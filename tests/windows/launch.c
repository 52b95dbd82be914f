/*
 * Starts a program in ways that a shell outside wine cannot: with Windows pipes, without a standard
 * handle, with variables that wine does not pass on, or in a console that outlives the program.
 *
 *     launch [NAME=VALUE]... MODE program [argument]...
 *
 * pipes      stdin and stdout are pipes, which are relayed to and from the launcher's
 * slow       like pipes, but the launcher reads nothing for two seconds
 * gone       like pipes, but the launcher closes its end of the program's stdout after one byte
 * deaf       like pipes, but the launcher closes its end of the program's stdout at once
 * null-in, null-out, invalid-in, invalid-out
 *            one standard handle is NULL or INVALID_HANDLE_VALUE; the others are the launcher's
 * console    the launcher's handles; the launcher ignores Ctrl-C and, once the program has exited,
 *            reports on stderr whether the console echoes
 *
 * Exits with the program's exit code, with 130 if Ctrl-C ended the program, with 123 if the code is
 * above 119, or with 120 to 122 if the launcher itself fails. Arguments must not contain blanks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static HANDLE to_program, from_program, own_in, own_out;

static void fail(const char *what)
{
    fprintf(stderr, "launch: %s: error %lu\n", what, GetLastError());
    exit(120);
}

static void copy(HANDLE from, HANDLE to)
{
    char bytes[65536];
    DWORD count, written;
    while (ReadFile(from, bytes, sizeof bytes, &count, NULL) && count > 0)
        for (DWORD done = 0; done < count; done += written)
            if (!WriteFile(to, bytes + done, count - done, &written, NULL))
                return;
}

static DWORD WINAPI feed(void *unused)
{
    (void)unused;
    copy(own_in, to_program);
    CloseHandle(to_program);
    return 0;
}

static BOOL WINAPI ignore_ctrl_c(DWORD event)
{
    return event == CTRL_C_EVENT;
}

static void report_echo(void)
{
    DWORD mode;
    HANDLE console = CreateFileA("CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                 OPEN_EXISTING, 0, NULL);
    if (console == INVALID_HANDLE_VALUE || !GetConsoleMode(console, &mode))
        fail("no console");
    fprintf(stderr, "the console %s\n", mode & ENABLE_ECHO_INPUT ? "echoes" : "is left without echo");
}

int main(int argc, char **argv)
{
    static char line[8192];
    STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION program;
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    int i = 1;

    for (char *value; i < argc && (value = strchr(argv[i], '=')) != NULL; i++) {
        *value = '\0';
        SetEnvironmentVariableA(argv[i], value + 1);
    }
    if (argc - i < 2)
        return 121;
    const char *mode = argv[i++];
    for (; i < argc; i++) {
        if (strlen(line) + strlen(argv[i]) + 2 > sizeof line)
            return 121;
        strcat(strcat(line, argv[i]), i + 1 < argc ? " " : "");
    }

    int piped = !strcmp(mode, "pipes") || !strcmp(mode, "slow") || !strcmp(mode, "gone") ||
                !strcmp(mode, "deaf");
    start.hStdInput = own_in = GetStdHandle(STD_INPUT_HANDLE);
    start.hStdOutput = own_out = GetStdHandle(STD_OUTPUT_HANDLE);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    if (piped) {
        if (!CreatePipe(&start.hStdInput, &to_program, &inherit, 0) ||
            !CreatePipe(&from_program, &start.hStdOutput, &inherit, 0))
            fail("no pipe");
        SetHandleInformation(to_program, HANDLE_FLAG_INHERIT, 0);
        SetHandleInformation(from_program, HANDLE_FLAG_INHERIT, 0);
    }
    if (strstr(mode, "-in"))
        start.hStdInput = *mode == 'n' ? NULL : INVALID_HANDLE_VALUE;
    if (strstr(mode, "-out"))
        start.hStdOutput = *mode == 'n' ? NULL : INVALID_HANDLE_VALUE;
    if (!strcmp(mode, "console"))
        SetConsoleCtrlHandler(ignore_ctrl_c, TRUE);
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &program))
        fail(line);
    if (piped) {
        char byte;
        DWORD count;
        CloseHandle(start.hStdInput);
        CloseHandle(start.hStdOutput);
        CreateThread(NULL, 0, feed, NULL, 0, NULL);
        if (!strcmp(mode, "slow"))
            Sleep(2000);
        if (!strcmp(mode, "gone"))
            ReadFile(from_program, &byte, 1, &count, NULL);
        else if (strcmp(mode, "deaf"))
            copy(from_program, own_out);
        CloseHandle(from_program);
    }
    WaitForSingleObject(program.hProcess, INFINITE);
    DWORD code = 122;
    GetExitCodeProcess(program.hProcess, &code);
    if (!strcmp(mode, "console"))
        report_echo();
    /* Ctrl-C ends a program with a code that does not fit into a Unix exit status. */
    ExitProcess(code == 0xC000013A ? 130 : code > 119 ? 123 : code);
}
