#include "clamp.h"

int clamp(int number, int low, int high)
{
    if (number < low)
        return low;
#ifdef DEMO_FAILS
    high++; /* The mistake that `fail=1` asks for. */
#endif
    return number > high ? high : number;
}
