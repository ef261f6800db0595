#include "notify/notification_digest.hpp"
#include "support/virtual_clock.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

using namespace autoexec;
using namespace autoexec::notify;
using namespace std::chrono_literals;

namespace {

NotifyConfig of_everything()
{
    NotifyConfig config;
    config.needs_input = config.failed = config.completed = config.run_ended = config.budget = true;
    return config;
}

struct DigestFixture {
    Notification notification(Kind kind, std::string subject = {})
    {
        Notification n;
        n.kind = kind;
        n.subject = std::move(subject);
        n.text = fmt::format("{} {}", to_string(kind), ++made);
        return n;
    }
    std::string add(Kind kind, std::string subject = {})
    {
        const auto sent = digest.add(notification(kind, std::move(subject)), now);
        return sent ? sent->text : "";
    }
    std::string take()
    {
        const auto sent = digest.take(now);
        return sent ? sent->text : "";
    }

    NotificationDigest digest{of_everything()};
    time_point now{1h};
    int made = 0;
};

}  // namespace

TEST_SUITE_BEGIN("notify");

TEST_CASE_FIXTURE(DigestFixture, "the first notification is sent at once, the next ones together")
{
    CHECK(add(Kind::completed) == "completed 1");
    CHECK_FALSE(digest.due());
    now += 1s;
    for (int i = 0; i < 10; ++i) CHECK(add(Kind::completed).empty());
    for (int i = 0; i < 2; ++i) CHECK(add(Kind::failed).empty());
    CHECK(digest.due() == time_point(1h + 10s));
    now = *digest.due();
    const auto sent = digest.take(now);
    REQUIRE(sent);
    CHECK(sent->text == "12 more ended: 10 completed, 2 failed");
    CHECK(sent->message.at("kind") == "digest");
    CHECK(sent->message.at("completed") == 10);
    CHECK(sent->message.at("failed") == 2);
    CHECK(sent->message.at("needs_input") == 0);
    CHECK_FALSE(digest.due());
}

TEST_CASE_FIXTURE(DigestFixture, "a digest opens the next window, and an idle one closes it")
{
    (void)add(Kind::failed);
    (void)add(Kind::failed);
    (void)add(Kind::failed);
    now += NotificationDigest::window;
    CHECK(take() == "2 more failed");
    now += 9s;
    CHECK(add(Kind::needs_input).empty());
    CHECK(add(Kind::needs_input).empty());
    CHECK(add(Kind::completed).empty());
    now += 1s;
    CHECK(take() == "1 more completed; 2 more wait for an answer");
    now += 10s;
    CHECK(take().empty());
    CHECK(add(Kind::completed) == "completed 7");
}

TEST_CASE_FIXTURE(DigestFixture, "a single notification that has waited is sent as it is")
{
    (void)add(Kind::completed);
    (void)add(Kind::needs_input);
    now += 10s;
    CHECK(take() == "needs_input 2");
}

TEST_CASE_FIXTURE(DigestFixture, "a notification that is due waits for those before it")
{
    (void)add(Kind::completed);
    (void)add(Kind::failed);
    now += 10s;
    CHECK(add(Kind::failed).empty());
    CHECK(take() == "2 more failed");
}

TEST_CASE_FIXTURE(DigestFixture, "a spent budget and the end of a run do not wait")
{
    (void)add(Kind::completed);
    CHECK(add(Kind::budget) == "budget 2");
    CHECK(add(Kind::failed).empty());
    CHECK(add(Kind::run_ended) == "run_ended 4");
    CHECK_FALSE(digest.due());  // it includes the failure
    CHECK(take().empty());
}

TEST_CASE_FIXTURE(DigestFixture, "the same thing is sent once")
{
    CHECK(add(Kind::completed, "one") == "completed 1");
    CHECK(add(Kind::run_ended, "one").empty());
    CHECK(add(Kind::budget, "day") == "budget 3");
    CHECK(add(Kind::budget, "day").empty());
    // Subjects are forgotten in the order of their coming.
    for (int i = 0; i < 1000; ++i) (void)add(Kind::completed, std::to_string(i));
    CHECK(add(Kind::budget, "day") == "budget 1005");
    CHECK(add(Kind::run_ended, "999").empty());
}

TEST_CASE_FIXTURE(DigestFixture, "nothing is sent that the configuration does not ask for")
{
    digest.set_config({});
    for (const auto kind :
         {Kind::needs_input, Kind::failed, Kind::completed, Kind::run_ended, Kind::budget})
        CHECK(add(kind, "one").empty());
    CHECK_FALSE(digest.due());
    auto config = NotifyConfig();
    config.run_ended = true;
    digest.set_config(config);
    CHECK(add(Kind::failed, "one").empty());
    CHECK(add(Kind::run_ended, "one") == "run_ended 7");  // it was never sent
}

TEST_SUITE_END();
