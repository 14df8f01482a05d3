/* A test that speaks the Test Anything Protocol and reads its limits from a file of data. */
#include "clamp.h"
#include <stdio.h>

static int point, failures;

static void is(int got, int wanted, const char *name)
{
    int good = got == wanted;
    printf("%sok %d - %s\n", good ? "" : "not ", ++point, name);
    if (!good) {
        printf("# got %d, wanted %d\n", got, wanted);
        failures++;
    }
}

int main(void)
{
    int low, high;
    FILE *limits = fopen("tests/demo/limits.txt", "r");
    printf("1..3\n");
    if (!limits || fscanf(limits, "%d %d", &low, &high) != 2) {
        printf("Bail out! cannot read tests/demo/limits.txt\n");
        return 1;
    }
    fclose(limits);
    is(clamp(low - 5, low, high), low, "a number below the limits is raised");
    is(clamp((low + high) / 2, low, high), (low + high) / 2, "a number between them is kept");
    is(clamp(high + 5, low, high), high, "a number above the limits is lowered");
    return failures != 0;
}
