#include "cli/session/questions.hpp"
#include "cli/subcommand.hpp"
#include "protocol/question_format.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace autoexec::cli {
namespace {

constexpr char say_examples[] = R"(
Examples:
  autoexec say 3f2a91c0 "Also update the changelog."
)";

struct SayOptions : CommonOptions {
    std::string id;
    std::string prompt;
    bool no_wait = false;
};

void check(const SayOptions& options, const protocol::RunningRecord& record)
{
    if (options.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
        fail(exit_usage, "the prompt is empty");
    if (text::valid_utf8(options.prompt) != options.prompt)
        fail(exit_usage, "the prompt is not UTF-8");
    if (options.prompt.size() > protocol::max_prompt)
        fail(exit_usage, "the prompt has {} bytes; at most {} are allowed", options.prompt.size(),
             protocol::max_prompt);
    if (!record.prompts_taken)
        fail(exit_usage,
             "the program of execution '{}' takes no prompt: its agent has no 'driver: acp', its "
             "program has not begun, or its last turn has ended",
             options.id);
}

// Its agent may be in another process, which looks for prompts from time to time.
bool is_taken(const std::filesystem::path& root, const protocol::AnswerFile& file)
{
    for (int tries = 0; tries < 300; ++tries) {
        const auto now = find_attempt(root, file.attempt_id);
        if (now &&
            std::ranges::find(now->taken_prompts, file.prompt_id) != now->taken_prompts.end())
            return true;
        if (!now || !now->prompts_taken) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    }
    fail(exit_internal, "its agent has not taken the prompt within 30 s");
}

int say(const SayOptions& options)
{
    const auto root = project_root(options);
    const auto record = find_running(root, options.id);
    check(options, record);
    protocol::AnswerFile file;
    file.attempt_id = record.attempt_id;
    file.prompts.push_back(options.prompt);
    file.prompt_id = text::new_uuid();
    send_to_executor(root, file);
    const bool taken = !options.no_wait && is_taken(root, file);
    if (!options.no_wait && !taken)
        fail(exit_failed, "the last turn of execution '{}' ended before it took the prompt",
             options.id);
    const auto id = short_id(record.execution_id);
    if (options.json)
        print_json({{"execution_id", record.execution_id},
                    {"attempt_id", record.attempt_id},
                    {"status", taken ? "taken" : "sent"}});
    else
        print_result("{} {}\n", id, taken ? "gets it as its next turn" : "was sent the prompt");
    return exit_completed;
}

void define_say(CLI::App& app, SayOptions& o)
{
    app.footer(say_examples);
    add_common(app, o);
    add_execution(app, o.id);
    app.add_option("prompt", o.prompt, "The prompt of its next turn")
        ->required()
        ->type_name("TEXT");
    app.add_flag("--no-wait", o.no_wait, "Do not wait until the agent has taken the prompt");
}

}  // namespace

extern const Subcommand say_subcommand =
    subcommand("say", "Give the program of a running command a further turn", define_say, say);

}  // namespace autoexec::cli
