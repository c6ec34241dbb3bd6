/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over every file of the folders named, so that each normal test run replays the corpora and the
 * inputs that once failed, without a fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    int result = -1;
    uint8_t *data = NULL;
    struct stat info;
    if (fstat(fileno(file), &info) != 0) {
        perror(path);
        goto close_file;
    }
    /* Exactly the size of the input, so that the address sanitizer sees one byte read too far. */
    const size_t size = (size_t)info.st_size;
    data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: cannot be read\n", path);
        goto free_data;
    }
    LLVMFuzzerTestOneInput(data, size);
    result = 0;

free_data:
    free(data);
close_file:
    fclose(file);
    return result;
}

static int replay_folder(const char *folder, size_t *count)
{
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        perror(folder);
        return -1;
    }
    int result = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char path[4096];
        const int len = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof path || replay_file(path) != 0) {
            result = -1;
            break;
        }
        (*count)++;
    }
    closedir(dir);
    return result;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (replay_folder(argv[i], &count) != 0) {
            return EXIT_FAILURE;
        }
    }
    printf("%zu inputs replayed\n", count);
    /* An empty corpus is a mistake in the build, not a success. */
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
