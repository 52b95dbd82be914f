/*
 * An askpass program for SSH_ASKPASS: prints $ASKPASS_PASSWORD, and writes the prompt to the file
 * $ASKPASS_PROMPT_FILE.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *password = getenv("ASKPASS_PASSWORD"), *file = getenv("ASKPASS_PROMPT_FILE");
    FILE *prompt = file ? fopen(file, "wb") : NULL;
    if (!prompt || !password || argc != 2)
        return 3;
    fputs(argv[1], prompt);
    fclose(prompt);
    puts(password);
    return 0;
}
