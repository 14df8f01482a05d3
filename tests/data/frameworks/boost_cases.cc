#define BOOST_TEST_MODULE my module
#ifdef DYN
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#else
#include <boost/test/included/unit_test.hpp>
#endif
#include <boost/test/data/test_case.hpp>
#include <boost/mpl/list.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
namespace utf = boost::unit_test;
namespace bdata = boost::unit_test::data;
BOOST_AUTO_TEST_CASE(adds, *utf::label("fast") * utf::description("adds: one and one")) { BOOST_TEST(1 + 1 == 2); }
BOOST_AUTO_TEST_CASE(fails) { std::printf("printed\n"); std::cout << "streamed\n"; std::cerr << "errors\n"; int a = 1; BOOST_TEST(a == 2); BOOST_CHECK_EQUAL(a, 3); BOOST_TEST_MESSAGE("note"); }
BOOST_AUTO_TEST_SUITE(outer)
BOOST_AUTO_TEST_CASE(inside) { BOOST_TEST(true); }
BOOST_AUTO_TEST_SUITE(inner, *utf::label("deep"))
BOOST_AUTO_TEST_CASE(inside) { BOOST_REQUIRE_MESSAGE(false, "told so\nand so"); }
BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_CASE(disabled, *utf::disabled()) { BOOST_TEST(false); }
BOOST_AUTO_TEST_SUITE(off, *utf::disabled())
BOOST_AUTO_TEST_CASE(inside) { BOOST_TEST(false); }
BOOST_AUTO_TEST_SUITE_END()
struct no { boost::test_tools::assertion_result operator()(utf::test_unit_id) { boost::test_tools::assertion_result r(false); r.message() << "no GPU here"; return r; } };
BOOST_AUTO_TEST_CASE(precondition, *utf::precondition(no())) { BOOST_TEST(false); }
BOOST_AUTO_TEST_CASE(depends, *utf::depends_on("fails")) { BOOST_TEST(true); }
BOOST_AUTO_TEST_CASE(depends_good, *utf::depends_on("adds")) { BOOST_TEST(true); }
BOOST_AUTO_TEST_CASE(expected, *utf::expected_failures(1)) { BOOST_TEST(1 == 2); }
BOOST_AUTO_TEST_CASE(expected_more, *utf::expected_failures(2)) { BOOST_TEST(1 == 2); }
BOOST_AUTO_TEST_CASE(times_out, *utf::timeout(1)) { BOOST_TEST(1 == 1); }
BOOST_DATA_TEST_CASE(data, bdata::make({1, 2, 3}), x) { BOOST_TEST(x < 3); }
typedef boost::mpl::list<int, std::pair<int, long>, char *> types;
BOOST_AUTO_TEST_CASE_TEMPLATE(typed, T, types) { BOOST_TEST(sizeof(T) > 4u); }
BOOST_AUTO_TEST_CASE(throws) { throw std::runtime_error("bad thing"); }
BOOST_AUTO_TEST_CASE(exits_early) { BOOST_TEST(true); std::exit(0); }
BOOST_AUTO_TEST_CASE(quick_exits) { BOOST_TEST(true); _Exit(0); }
BOOST_AUTO_TEST_CASE(segfaults) { BOOST_TEST(true); *(volatile int *)nullptr = 1; }
BOOST_AUTO_TEST_CASE(aborts) { std::abort(); }
BOOST_AUTO_TEST_CASE(no_assertion) {}
BOOST_AUTO_TEST_CASE(warns) { BOOST_WARN(false); BOOST_TEST(true); }
BOOST_AUTO_TEST_CASE(context) { BOOST_TEST_CONTEXT("in context") { BOOST_TEST(false); } }
struct F { F() { throw std::runtime_error("no fixture"); } };
BOOST_FIXTURE_TEST_CASE(fixture_fails, F) {}
static void manual() { BOOST_TEST(true); }
BOOST_AUTO_TEST_SUITE(m)
struct reg { reg() { utf::framework::master_test_suite().add(utf::make_test_case(&manual, "name, with: odd/chars * !x @y +z \xff", __FILE__, __LINE__)); } } r;
BOOST_AUTO_TEST_SUITE_END()
