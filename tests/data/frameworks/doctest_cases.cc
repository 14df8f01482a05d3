#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
TEST_CASE("adds") { CHECK(1 + 1 == 2); }
TEST_CASE("fails") { std::printf("printed\n"); std::cout << "streamed\n"; std::cerr << "errors\n"; int a = 1; INFO("info"); CHECK(a == 2); CHECK_FALSE(a == 1); MESSAGE("note"); WARN(a == 3); }
TEST_CASE("subcases") { SUBCASE("good") { CHECK(true); } SUBCASE("bad, one") { REQUIRE(1 == 2); } }
TEST_CASE("comma, [bracket] \"quote\" \\back* ?not") { CHECK(true); }
TEST_CASE("comma, [bracket]") { CHECK(true); }
TEST_CASE("comma") { CHECK(true); }
TEST_CASE("COMMA") { CHECK(true); }
TEST_CASE("star*") { CHECK(true); }
TEST_CASE("starring") { CHECK(false); }
TEST_CASE("ends with \\") { CHECK(true); }
TEST_CASE("-dash first") { CHECK(true); }
TEST_CASE("skipped" * doctest::skip()) { CHECK(true); }
TEST_CASE("may fail" * doctest::may_fail()) { CHECK(1 == 2); }
TEST_CASE("should fail" * doctest::should_fail()) { CHECK(1 == 2); }
TEST_CASE("should fail but passes" * doctest::should_fail()) { CHECK(1 == 1); }
TEST_CASE("expected failures" * doctest::expected_failures(2)) { CHECK(1 == 1); }
TEST_CASE("times out" * doctest::timeout(0.000000001)) { CHECK(1 == 1); }
TEST_CASE("described" * doctest::description("long words") * doctest::test_suite("suite x")) { CHECK(1 == 1); }
TEST_CASE("throws") { throw std::runtime_error("bad thing"); }
TEST_CASE("exits early") { CHECK(true); std::exit(0); }
TEST_CASE("segfaults") { CHECK(true); *(volatile int *)nullptr = 1; }
TEST_CASE("aborts") { std::abort(); }
TEST_CASE("no assertion") {}
TEST_CASE("non-utf8 \xff name") { CHECK(true); }
TEST_CASE("explicit fail") { FAIL("told so\nand so"); }
TEST_CASE("unicode ü name") { CHECK(true); }
TEST_CASE("  spaces around  ") { CHECK(true); }
TEST_CASE("tab\tand\nnewline") { CHECK(true); }
TEST_CASE("<xml> & more") { CHECK(true); }
TEST_SUITE("one, two") { TEST_CASE("same name") { CHECK(true); } }
TEST_SUITE("two") { TEST_CASE("same name") { CHECK(false); } }
TEST_CASE("same name") { CHECK(true); }
TEST_CASE("twin") { CHECK(true); }
TEST_CASE("twin") { CHECK(false); }
TEST_CASE("") { CHECK(true); }
TEST_CASE("exits" * doctest::no_output()) { CHECK(1==2); }
SCENARIO("scene") { GIVEN("a") { WHEN("b") { THEN("c") { CHECK(1 == 2); } } } }
TEST_CASE_TEMPLATE("tpl", T, int, std::pair<int, long>) { CHECK(sizeof(T) > 4); }
TEST_CASE("message") { CHECK_MESSAGE(1 == 2, "why: " << 5); CHECK_THROWS_AS(throw 1, std::exception); }
