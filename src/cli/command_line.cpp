#include "cli/command_line.hpp"

#include "text/text.hpp"
#include "yaml/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace autoexec::cli {
namespace {

using Words = std::vector<std::string>;
using Names = std::vector<std::string_view>;

constexpr std::string_view color_option = "--color";

// Names that users of other programs try first.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> synonyms{{
    {"abort", "cancel"},
    {"doctor", "health"},
    {"exec", "run"},
    {"jobs", "status"},
    {"kill", "cancel"},
    {"list", "status"},
    {"log", "logs"},
    {"ls", "status"},
    {"ps", "status"},
    {"redo", "rerun"},
    {"retry", "rerun"},
    {"start", "run"},
    {"submit", "run --detach"},
    {"watch", "attach"},
}};

std::vector<const CLI::App*> commands_of(const CLI::App& app)
{
    return app.get_subcommands(
        [](const CLI::App* command) { return !command->get_name().empty(); });
}

const CLI::App* find(const CLI::App& app, std::string_view name)
{
    for (const auto* const command : commands_of(app))
        if (command->get_name() == name) return command;
    return nullptr;
}

/// Those that the help lists.
Words names_of_commands(const CLI::App& app)
{
    Words names;
    for (const auto* const command : commands_of(app))
        if (!command->get_group().empty()) names.push_back(command->get_name());
    return names;
}

std::string usage_of(const CLI::App& command)
{
    auto words = full_name(command);
    words.erase(0, words.find(' '));
    return fmt::format("{}Run 'autoexec help{}' for {}.\n",
                       dynamic_cast<const CLI::Formatter&>(*command.get_formatter())
                           .make_usage(&command, full_name(command)),
                       words,
                       commands_of(command).empty() ? "all options and examples" : "the commands");
}

Failure failure_of(const CLI::App& command, std::string problem)
{
    Failure failure(exit_usage, {std::move(problem)});
    failure.advice = usage_of(command);
    return failure;
}

// A word that is no command may be a text for an agent, or the name of another program's command.
std::string guess_command(const CLI::App& app, const std::string& word)
{
    if (app.get_parent() == nullptr && word.find(' ') != word.npos)
        return fmt::format("To run this text: autoexec run {}",
                           text::printable(text::quote_words(Words{word})));
    const auto names = names_of_commands(app);
    if (auto guess = yaml::did_you_mean(word, Names(names.begin(), names.end())); !guess.empty())
        return guess;
    const auto* const synonym = std::find_if(synonyms.begin(), synonyms.end(),
                                             [&](const auto& one) { return one.first == word; });
    if (synonym == synonyms.end()) return {};
    const auto name = synonym->second.substr(0, synonym->second.find(' '));
    if (std::find(names.begin(), names.end(), name) == names.end()) return {};
    return fmt::format("Did you mean '{}'?", synonym->second);
}

Failure unknown_command(const CLI::App& app, const std::string& word)
{
    const auto guess = guess_command(app, word);
    return failure_of(
        app, fmt::format("unknown command '{}'{}{}", word, guess.empty() ? "" : ". ", guess));
}

/// The number of words of an option that can precede the command; zero: it is no such option.
std::size_t size_of_common_option(std::string_view word)
{
    if (word == "--json" || word.starts_with("--project=") || word.starts_with("--format="))
        return 1;
    return word == "--project" || word == "--format" ? 2 : 0;
}

std::string without_value(const std::string& word)
{
    return word.substr(0, word.find('='));
}

/// The first of the words that nothing accepts.
std::optional<std::string> first_unexpected(const CLI::App& app, const CLI::App& command)
{
    auto words = app.remaining(true);
    if (words.empty()) words = command.remaining(true);
    const auto option = std::find_if(words.begin(), words.end(), [](const std::string& word) {
        return word.size() > 1 && word.front() == '-';
    });
    if (option != words.end()) return *option;
    return words.empty() ? std::nullopt : std::optional(words.front());
}

Words options_of(const CLI::App& command)
{
    Words names{"--color", "--help"};
    for (const auto* const option : command.get_options())
        if (!option->get_group().empty())
            for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

std::string unexpected(const CLI::App& command, const std::string& word)
{
    if (word.size() < 2 || word.front() != '-')
        return fmt::format("unexpected argument '{}'", word);
    const auto option = without_value(word);
    const auto names = options_of(command);
    const auto guess = yaml::did_you_mean(option, Names(names.begin(), names.end()));
    return fmt::format("unknown option '{}'{}{}", option, guess.empty() ? "" : ". ", guess);
}

// `execution is required`: its users know an argument by the name that the usage line shows.
std::string missing_argument(const CLI::App& command, const std::string& message)
{
    for (const auto* const option : command.get_options())
        if (option->get_positional() && message == option->get_name() + " is required")
            return fmt::format("missing argument: {}", option->get_type_name());
    return message;
}

}  // namespace

CommandLine split_command_line(int argc, const char* const* argv)
{
    CommandLine line;
    for (int i = 1; i < argc; ++i) {
        if (text::valid_utf8(argv[i]) != argv[i])
            throw Failure(exit_usage, {fmt::format("argument {} ('{}') is not UTF-8", i,
                                                   text::valid_utf8(argv[i]))});
        line.words.emplace_back(argv[i]);
    }
    const auto hyphens = std::find(line.words.begin(), line.words.end(), "--");
    if (hyphens != line.words.end()) {
        line.program.assign(std::next(hyphens), line.words.end());
        line.words.erase(hyphens, line.words.end());
    }
    for (auto word = line.words.begin(); word != line.words.end();) {
        line.json |= *word == "--json";
        const bool is_color =
            word->starts_with(color_option) && without_value(*word) == color_option;
        if (!is_color) {
            ++word;
            continue;
        }
        const bool is_split = *word == color_option;
        if (is_split && std::next(word) == line.words.end())
            throw Failure(exit_usage, {"--color: give auto, always or never"});
        line.color = is_split ? *std::next(word) : word->substr(color_option.size() + 1);
        word = line.words.erase(word, std::next(word, is_split ? 2 : 1));
    }
    return line;
}

const CLI::App& put_command_first(const CLI::App& app, Words& words)
{
    Words command;
    Words options;
    const auto* found = &app;
    auto word = words.begin();
    while (word != words.end() && !commands_of(*found).empty()) {
        if (const auto size = size_of_common_option(*word); size > 0) {
            for (std::size_t i = 0; i < size && word != words.end(); ++i)
                options.push_back(std::move(*word++));
            continue;
        }
        if (word->starts_with('-')) break;
        const auto* const next = find(*found, *word);
        if (next == nullptr) throw unknown_command(*found, *word);
        found = next;
        command.push_back(std::move(*word++));
    }
    command.insert(command.end(), std::make_move_iterator(options.begin()),
                   std::make_move_iterator(options.end()));
    command.insert(command.end(), std::make_move_iterator(word),
                   std::make_move_iterator(words.end()));
    words = std::move(command);
    return *found;
}

const CLI::App& find_command(const CLI::App& app, const Words& words)
{
    const auto* found = &app;
    for (const auto& word : words) {
        const auto* const next = find(*found, word);
        if (next == nullptr && commands_of(*found).empty())
            throw failure_of(*found, fmt::format("unexpected argument '{}'", word));
        if (next == nullptr) throw unknown_command(*found, word);
        found = next;
    }
    return *found;
}

std::string full_name(const CLI::App& command)
{
    const auto* const parent = command.get_parent();
    return parent == nullptr ? command.get_name() : full_name(*parent) + ' ' + command.get_name();
}

std::string help_of(const CLI::App& command)
{
    return command.get_formatter()->make_help(&command, full_name(command),
                                              CLI::AppFormatMode::Normal);
}

Failure usage_failure(const CLI::App& app, const CLI::App& command, const CLI::ParseError& error)
{
    std::string message = error.what();
    const bool is_extra = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    const auto word = is_extra ? first_unexpected(app, command) : std::nullopt;
    if (word)
        message = unexpected(command, *word);
    else if (!commands_of(command).empty())
        message = "missing command";
    else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
        message = missing_argument(command, message);
    return failure_of(command, std::move(message));
}

}  // namespace autoexec::cli
