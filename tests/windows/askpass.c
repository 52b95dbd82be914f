/* Stands in for the program in SSH_ASKPASS: prints the password in ASKPASS_SAYS, and keeps the prompt for the test. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *password = getenv("ASKPASS_SAYS"), *file = getenv("ASKPASS_PROMPT");
    FILE *prompt = file ? fopen(file, "wb") : NULL;
    if (!prompt || !password || argc != 2)
        return 3;
    fputs(argv[1], prompt);
    fclose(prompt);
    puts(password);
    return 0;
}
