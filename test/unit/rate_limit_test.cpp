#include "async/rate_limit.hpp"

#include <doctest/doctest.h>

using namespace autoexec;
using namespace std::chrono_literals;

TEST_CASE("so many times a second, then at its end")
{
    async::RateLimit limit(3);
    const time_point start{5s};
    for (int n = 0; n < 3; ++n) CHECK(limit.next(start + n * 100ms) == start + n * 100ms);
    CHECK(limit.next(start + 300ms) == start + 1s);
    CHECK(limit.next(start + 999ms) == start + 1s);
    // The next second begins when somebody asks.
    CHECK(limit.next(start + 1500ms) == start + 1500ms);
    CHECK(limit.next(start + 2400ms) == start + 2400ms);
}
