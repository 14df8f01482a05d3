#include <gtest/gtest.h>
#include <cstdio>
#include <cstdlib>
#include <tuple>
TEST(Math, Adds) { EXPECT_EQ(1 + 1, 2); }
TEST(Math, Fails) { std::printf("seen\n"); EXPECT_EQ(1 + 1, 3) << "told so"; EXPECT_TRUE(false); }
TEST(Math, NoNewline) { std::printf("no newline"); EXPECT_TRUE(false); }
TEST(Math, PrintsOk) { std::printf("partial"); }
TEST(Math, DISABLED_Later) { FAIL(); }
TEST(DISABLED_All, One) {}
TEST(Skip, Told) { GTEST_SKIP() << "no GPU\nhere"; }
TEST(Skip, Untold) { GTEST_SKIP(); }
TEST(Skip, AfterFailure) { EXPECT_EQ(1, 2); GTEST_SKIP() << "no"; }
TEST(Ends, Early) { std::exit(0); }
TEST(Ends, Badly) { std::exit(3); }
TEST(Ends, Aborts) { std::abort(); }
TEST(Ends, Segv) { *(volatile int *)nullptr = 1; }
TEST(Ends, Throws) { throw std::runtime_error("bad thing"); }
class P : public testing::TestWithParam<std::string> {};
TEST_P(P, Works) { EXPECT_LT(GetParam().size(), 5u); }
INSTANTIATE_TEST_SUITE_P(Inst, P, testing::Values("a b", "x # y", "line\nbreak", "."));
class DISABLED_P2 : public testing::TestWithParam<int> {};
TEST_P(DISABLED_P2, Works) {}
INSTANTIATE_TEST_SUITE_P(I, DISABLED_P2, testing::Values(1));
template <class T> class T1 : public testing::Test {};
using Types = testing::Types<int, std::tuple<int, long>>;
struct Names { template <class T> static std::string GetName(int i) { return i ? "a:b-c*d" : "plain name"; } };
TYPED_TEST_SUITE(T1, Types, Names);
TYPED_TEST(T1, Sizes) { EXPECT_GT(sizeof(TypeParam), 4u); }
struct SetUpFails : testing::Test { static void SetUpTestSuite() { FAIL() << "no db"; } };
TEST_F(SetUpFails, One) {}
struct SetUpSkips : testing::Test { static void SetUpTestSuite() { GTEST_SKIP() << "no db"; } };
TEST_F(SetUpSkips, One) {}
TEST(Fork, Scoped) { SCOPED_TRACE("outer"); ADD_FAILURE_AT("other.cc", 7) << "a\nb"; }
TEST(Record, Prop) { RecordProperty("k", "v"); }
TEST(Death, Dies) { EXPECT_DEATH(std::abort(), ""); }
