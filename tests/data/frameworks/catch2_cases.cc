#ifdef V2
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#else
#include "catch_amalgamated.hpp"
#endif
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
TEST_CASE("adds", "[math][fast]") { REQUIRE(1 + 1 == 2); }
TEST_CASE("fails") { std::printf("printed\n"); std::cout << "streamed\n"; std::cerr << "errors\n"; int a = 1; INFO("info"); CHECK(a == 2); CHECK_FALSE(a == 1); }
TEST_CASE("fails in a section") { SECTION("good") { CHECK(true); } SECTION("bad, one") { REQUIRE(1 == 2); } }
TEST_CASE("comma, [bracket] \"quote\" \\back* ~not", "[odd]") { CHECK(true); }
TEST_CASE("comma, [bracket]", "[odd]") { CHECK(true); }
TEST_CASE("*starts with a star") { CHECK(true); }
TEST_CASE("ends with a star*") { CHECK(true); }
TEST_CASE("ends with a star* not", "[x]") { CHECK(true); }
TEST_CASE("ends with \\") { CHECK(true); }
TEST_CASE("-dash first") { CHECK(true); }
TEST_CASE("~tilde") { CHECK(true); }
TEST_CASE("exclude:word") { CHECK(true); }
TEST_CASE("hidden", "[.]") { CHECK(true); }
TEST_CASE("hidden integration", "[.integration]") { CHECK(true); }
TEST_CASE("may fail", "[!mayfail]") { CHECK(1 == 2); }
TEST_CASE("should fail", "[!shouldfail]") { CHECK(1 == 2); }
TEST_CASE("should fail but passes", "[!shouldfail]") { CHECK(1 == 1); }
TEST_CASE("throws") { throw std::runtime_error("bad thing"); }
TEST_CASE("exits early") { CHECK(true); std::exit(0); }
TEST_CASE("segfaults") { CHECK(true); *(volatile int *)nullptr = 1; }
TEST_CASE("aborts") { std::abort(); }
TEST_CASE("no assertion") {}
TEST_CASE("a very long name that goes on and on, so that the list must be wrapped at eighty columns by the reporter, as it does", "[long][tags][that][are][wrapped][as][well][because][there][are][so][many]") { CHECK(true); }
TEST_CASE("non-utf8 \xff name") { CHECK(true); }
TEST_CASE("explicit fail") { FAIL("told so\nand so"); }
TEST_CASE("warns") { WARN("careful"); CHECK(true); }
TEST_CASE("nothrow") { CHECK_NOTHROW(throw 1); CHECK_THROWS(1); }
TEST_CASE("unicode ü name") { CHECK(true); }
TEST_CASE("  spaces around  ") { CHECK(true); }
TEST_CASE("four fail") { for (int i = 0; i < 4; i++) CHECK(i == 9); }
struct Fix { int a = 1; };
TEST_CASE_METHOD(Fix, "in a fixture", "[fix]") { CHECK(a == 1); }
TEMPLATE_TEST_CASE("templated", "[t]", int, (std::pair<int, long>)) { CHECK(sizeof(TestType) > 4); }
#ifndef V2
TEST_CASE("skips") { SKIP("no GPU"); }
TEST_CASE("skips a part") { SECTION("a") { CHECK(true); } SECTION("b") { SKIP("part"); } }
TEST_CASE("skip after failure") { CHECK(1 == 2); SKIP("late"); }
TEST_CASE("tab\tand\nnewline") { CHECK(true); }
TEST_CASE("skips four times") { for (int i = 0; i < 3; i++) CHECK(i == 9); CHECK(1==9); SKIP("x"); }
#else
TEST_CASE("tab\tname") { CHECK(true); }
#endif
TEST_CASE() { CHECK(true); }
