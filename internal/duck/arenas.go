package duck

/*
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>

// glibc decides with the first thread how many pools of memory there may be: one per thread, by default, which
// gives little of what is freed in it back. DuckDB's threads then hold a fifth more than what they use. So the number is set
// before there are threads, unless the user has set one.
__attribute__((constructor)) static void limit_arenas(void) {
	if (getenv("MALLOC_ARENA_MAX") == NULL) mallopt(M_ARENA_MAX, 2);
}
static void give_back(void) { malloc_trim(1 << 20); }
#else
static void give_back(void) {}
#endif
*/
import "C"

// GiveBack returns what C code has freed to the system. It takes some milliseconds, and does nothing without glibc.
func GiveBack() { C.give_back() }
