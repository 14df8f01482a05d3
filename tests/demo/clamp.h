/* Keep a number between two limits. */
int clamp(int number, int low, int high);
