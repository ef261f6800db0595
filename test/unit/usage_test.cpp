#include "protocol/usage.hpp"
#include "autoexec/config.hpp"
#include "config/prices.hpp"
#include "support/temporary_folder.hpp"
#include "workflow/journal/journal.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

using namespace autoexec;
using namespace autoexec::protocol;

namespace {

Usage usage_of(std::int64_t input, std::int64_t output, std::optional<double> cost = {})
{
    Usage usage;
    usage.input_tokens = input;
    usage.output_tokens = output;
    usage.cost_usd = cost;
    usage.model = "m-1.5";
    return usage;
}

constexpr auto max_count = std::int64_t{1} << 53;

}  // namespace

TEST_SUITE_BEGIN("usage");

TEST_CASE("tokens and money are short for people")
{
    CHECK(tokens_text(0) == "0");
    CHECK(tokens_text(999) == "999");
    CHECK(tokens_text(1000) == "1.0k");
    CHECK(tokens_text(12'345) == "12.3k");
    CHECK(tokens_text(999'949) == "999.9k");
    CHECK(tokens_text(999'950) == "1.0M");
    CHECK(tokens_text(1'234'567) == "1.2M");
    CHECK(tokens_text(max_count) == "9007.2T");
    CHECK(cost_text(0.42) == "$0.42");
    CHECK(cost_text(0.0035) == "$0.0035");
    CHECK(cost_text(0.00001) == "<$0.0001");
    CHECK(cost_text(0) == "$0.00");
    CHECK(cost_text(1234.5) == "$1234.50");
    CHECK(cost_text(0.42, true) == "~$0.42");
}

TEST_CASE("what is not known is not shown")
{
    CHECK(to_text(Spending({}, {})).empty());
    Usage usage;
    usage.cpu = std::chrono::seconds(3);
    CHECK(to_text(Spending(usage, {})).empty());
    CHECK(to_text(Spending(usage_of(12'300, 4'100), {})) == "12.3k in, 4.1k out");
    CHECK(to_text(Spending(usage_of(12'300, 4'100, 0.42), {})) == "12.3k in, 4.1k out, $0.42");
    Usage only_cost;
    only_cost.cost_usd = 0.5;
    CHECK(to_text(Spending(only_cost, {})) == "$0.50");
}

TEST_CASE("a cost is estimated only from the user's prices, and only if none was reported")
{
    const ModelPrices prices{{"m-1.5", {3, 15, 0.3, 3.75}}};
    auto usage = usage_of(1'000'000, 100'000);
    usage.cache_read_tokens = 2'000'000;
    usage.cache_write_tokens = 400'000;
    const Spending estimate(usage, prices);
    CHECK(estimate.cost_usd == doctest::Approx(3 + 1.5 + 0.6 + 1.5));
    CHECK(estimate.tokens() == 1'500'000);
    CHECK(to_text(estimate) == "1.4M in, 100.0k out, ~$6.60");
    usage.cost_usd = 1;
    auto total = Spending(usage, prices);
    CHECK_FALSE(total.is_estimate);
    total += estimate;
    CHECK(to_text(total) == "2.8M in, 200.0k out, ~$7.60");
    usage.cost_usd.reset();
    usage.model = "other";
    CHECK_FALSE(Spending(usage, prices).has_cost);
    CHECK_FALSE(Spending(Usage{}, {{"", {1, 1, 1, 1}}}).has_cost);
}

TEST_CASE("sums of absurd numbers stay within what is read again")
{
    constexpr auto huge = std::numeric_limits<std::int64_t>::max();
    std::optional<Usage> total = usage_of(max_count, huge, 1e9);
    for (int i = 0; i < 3; ++i) add_usage(total, usage_of(max_count, huge, 1e9));
    CHECK(total->input_tokens == max_count);
    CHECK(total->output_tokens == max_count);
    CHECK(total->cost_usd == 1e9);

    Spending spent(usage_of(huge, huge, std::numeric_limits<double>::infinity()), {});
    for (int i = 0; i < 3; ++i) spent += spent;
    CHECK(spent.tokens() == 2 * max_count);
    CHECK(spent.cost_usd == 1e9);

    // Nothing makes a sum smaller.
    Spending paid(usage_of(1000, 1000, 2.0), {});
    paid += Spending(usage_of(-5000, std::numeric_limits<std::int64_t>::min(), -7.0), {});
    paid += Spending(usage_of(0, 0, std::nan("")), {});
    CHECK(paid.tokens() == 2000);
    CHECK(paid.cost_usd == 2);
}

TEST_CASE("prices are a table in the file, and JSON in a variable")
{
    test::TemporaryFolder project;
    project.write(".tapps-agents/auto_execution_config.yaml",
                  "auto_execution:\n  prices:\n    m-1.5: {input: 3, output: 15}\n"
                  "    m-2: {input: 1, output: 2, cache_read: 0.1, cache_write: 1.25}\n");
    AutoExecutionConfigManager manager({}, project.path());
    manager.set_environment({});
    const ModelPrices expected{{"m-1.5", {3, 15, 3, 3}}, {"m-2", {1, 2, 0.1, 1.25}}};
    CHECK(manager.load().executor.prices == expected);
    CHECK(manager.diagnostics().empty());
    manager.set_environment({R"(AUTOEXEC_PRICES={"x": {"input": 1, "output": 2}})"});
    CHECK(manager.reload().executor.prices == ModelPrices{{"x", {1, 2, 1, 1}}});
    CHECK(config::parse_prices(config::format_prices(expected)) == expected);
}

TEST_CASE("prices that are none are refused")
{
    for (const auto* text :
         {"", "3", "[]", R"({"m": 3})", R"({"m": {"input": 3}})",
          R"({"m": {"input": 3, "output": -1}})", R"({"m": {"input": 3, "output": "15"}})",
          R"({"m": {"input": 1e999, "output": 1}})", R"({"m": {"input": 3, "output": 1000001}})",
          R"({"m": {"input": 3, "output": 1, "reasoning": 1}})"}) {
        CAPTURE(text);
        CHECK_FALSE(config::parse_prices(text));
    }
}

TEST_CASE("a step has the usage of all its rounds, each execution once")
{
    const auto ended = [](int seq, const char* id, int input) {
        return fmt::format(
            R"({{"seq": {}, "time": "2026-01-20T21:00:36+00:00", "event": "step_ended", )"
            R"("step": "a", "round": 1, "state": "completed", "result": {{"status": )"
            R"("completed", "execution_id": "{}", "attempts": 1, "usage": )"
            R"({{"input_tokens": {}}}}}}})"
            "\n",
            seq, id, input);
    };
    const auto run =
        workflow::parse_journal(ended(1, "e1", 7) + ended(2, "e1", 8) + ended(3, "e2", 100));
    REQUIRE(run.steps.size() == 1);
    CHECK(total_of(run.steps[0].usage).value().input_tokens == 108);
}

TEST_SUITE_END();
