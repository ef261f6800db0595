#include "programs/error_class.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace autoexec::programs;
using namespace std::chrono_literals;

TEST_CASE("the words of a failure tell its class")
{
    using Examples = std::vector<std::string_view>;
    const std::vector<std::pair<std::string_view, Examples>> examples{
        {"context",
         {"Prompt is too long", "This model's maximum context length is 128000 tokens",
          "Your input exceeds the context window of this model.",
          "Codex ran out of room in the model's context window.", "ContextOverflowError",
          "The input token count (1048577) exceeds the maximum number of tokens allowed"}},
        {"quota",
         {"Your credit balance is too low", "429 You exceeded your current quota",
          "You've hit your usage limit.", "Claude AI usage limit reached", "insufficient_quota",
          "Please check your plan and billing details.", "402 Payment Required"}},
        {"auth",
         {"Not logged in · Please run /login", "401 Incorrect API key provided",
          "unexpected status 401 Unauthorized", "authentication_failed", "API Error: 401 {",
          "Missing environment variable: `OPENAI_API_KEY`.", "API key not valid.",
          "Request failed with status code 403", "HTTP 401", "[API Error: 401 status code]",
          "error: UNAUTHENTICATED"}},
        {"rate_limited",
         {"Rate limit reached for requests", "429 Too Many Requests", "RESOURCE_EXHAUSTED",
          "status: 429", "rate_limit_error", "Request rejected (429)",
          "exceeded retry limit, last status: 429 Too Many Requests", R"({"code":429,)",
          "You have exceeded the per-minute rate limit"}},
        {"overloaded",
         {"API Error: 529 Overloaded.", "Repeated 529 Overloaded errors.",
          "The model is overloaded.", "503 Service Unavailable", "status 500",
          "Internal server error", "code: UNAVAILABLE",
          "We're currently experiencing high demand"}},
        {"model_not_found",
         {"The model `x` does not exist", "404 status code (no body)",
          "models/x-1.5 is not found for API version v1",
          "There's an issue with the selected model"}},
        {"refused", {"The request was refused", "content_filter", "blocked for safety"}},
        {"network",
         {"connect ECONNREFUSED 127.0.0.1:1", "fetch failed", "terminated", "socket hang up",
          "stream disconnected before completion", "TypeError: terminated", "dns error",
          "waiting for network", "API Error: Unable to connect to API (ECONNREFUSED)"}},
        {"max_turns", {"Reached maximum turns (3)", "max session turns"}},
    };
    for (const auto& [code, all] : examples)
        for (const auto words : all) {
            CAPTURE(words);
            CHECK(code_of_words(words) == code);
        }
}

TEST_CASE("harmless words tell no class, whatever numbers and terms they contain")
{
    for (const std::string_view words :
         {"fixed issue 401",
          "line 403 of main.cpp",
          "Fix #404 and #429",
          "404 tests passed",
          "429 files were changed",
          "See line 500.",
          "Listening on port 503",
          "refactored the parser (404 lines)",
          "Added authentication to the login page",
          "Add rate limiting to the API",
          "Handle unauthorized users in the handler",
          "overloaded functions are resolved at compile time",
          "Improved type safety",
          "Added a billing page",
          "Wrote network tests",
          "the socket is created here",
          "read the dns settings",
          "terminated the loop early",
          "The context window of the dialog is wider",
          "the spending limit is configurable",
          "unavailable items are hidden",
          "He refused to comment",
          "error in line 401",
          "exit code 4",
          "took 502 ms",
          "status of 404 pages was checked",
          "<html><body>Welcome to the hotel. Please sign in.</body></html>",
          "Ripgrep is not available. Falling back to GrepTool.",
          "Warning: 256-color support not detected."}) {
        CAPTURE(words);
        CHECK(code_of_words(words) == "");
    }
}

TEST_CASE("the time to wait is found in the words")
{
    CHECK(wait_in_words("Please try again in 20s.") == 20s);
    CHECK(wait_in_words("Retry-After: 3600") == 3600s);
    CHECK(wait_in_words("retrying in 1.5 s") == 1500ms);
    CHECK(wait_in_words("tried again 20 times") == std::nullopt);
}

TEST_CASE("the provider's sentence is taken out of its JSON")
{
    CHECK(sentence_of(R"([API Error: {"error":{"message":"No."}}])") == "No.");
    CHECK(sentence_of(R"({"error":{"message":"{\"detail\":\"Inner.\"}"}})") == "Inner.");
    CHECK(sentence_of(R"({"other":1})") == R"({"other":1})");
    CHECK(sentence_of("plain") == "plain");
}
