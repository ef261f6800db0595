#include "process/run_program.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace autoexec::process {
namespace {

constexpr std::size_t max_argument_length = 128 * 1024 - 1;  // MAX_ARG_STRLEN, less the NUL
constexpr std::size_t usual_output = 1024 * 1024;
constexpr std::size_t max_errors = 64 * 1024;

constexpr std::array<std::string_view, 8> git_variables = {
    "GIT_DIR=",    "GIT_COMMON_DIR=", "GIT_WORK_TREE=",        "GIT_INDEX_FILE=",
    "GIT_PREFIX=", "GIT_NAMESPACE=",  "GIT_OBJECT_DIRECTORY=", "GIT_ALTERNATE_OBJECT_DIRECTORIES="};

void append_capped(std::string& text, std::string_view chunk, std::size_t max_bytes)
{
    text.append(chunk.substr(0, max_bytes - std::min(max_bytes, text.size())));
}

}  // namespace

error_code check_arguments(const std::vector<std::string>& argv, std::string& why)
{
    for (std::size_t i = 0; i < argv.size(); ++i) {
        const auto& argument = argv[i];
        const bool too_long = argument.size() > max_argument_length;
        if (!too_long && argument.find('\0') == argument.npos) continue;
        const auto program = argv[0].substr(0, 200);
        why = too_long ? fmt::format(
                             "Argument {} of \"{}\" has more than {} bytes, the system's limit. "
                             "For long commands pass {{command_file_path}} and let the program "
                             "read the file.",
                             i, program, max_argument_length)
                       : fmt::format("Argument {} of \"{}\" contains a NUL character.", i, program);
        return make_error_code(too_long ? boost::system::errc::argument_list_too_long
                                        : boost::system::errc::invalid_argument);
    }
    return {};
}

asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner, ProcessSpec spec,
                                           std::size_t max_output, OnStart on_start)
{
    ProgramOutput result;
    const auto ex = co_await asio::this_coro::executor;
    error_code ec;
    std::string why;
    const std::shared_ptr<Process> process = spawner->spawn(ex, spec, ec, why);
    if (!process) {
        result.exit.error = why.empty() ? ec.message() : why;
        co_return result;
    }
    const auto take = [&result, max_output](OutputStream stream, std::string_view chunk) {
        if (stream == OutputStream::standard_output) {
            result.cut |= chunk.size() > max_output - result.output.size();
            append_capped(result.output, chunk, max_output);
        } else
            append_capped(result.errors, chunk, max_errors);
    };
    if (on_start) on_start(process);
    result.exit = co_await process->wait(take);
    co_return result;
}

std::vector<std::string> inherited_environment()
{
    std::vector<std::string> variables;
    for (char** v = environ; v != nullptr && *v != nullptr; ++v) {
        const std::string_view variable = *v;
        const bool is_git = std::any_of(git_variables.begin(), git_variables.end(),
                                        [&](auto name) { return variable.starts_with(name); });
        if (!is_git) variables.emplace_back(variable);
    }
    return variables;
}

asio::awaitable<ProgramOutput> run_program(std::shared_ptr<Spawner> spawner,
                                           std::vector<std::string> argv,
                                           std::filesystem::path directory)
{
    ProcessSpec spec;
    spec.argv = std::move(argv);
    spec.directory = std::move(directory);
    spec.environment = inherited_environment();
    return run_program(std::move(spawner), std::move(spec), usual_output);
}

}  // namespace autoexec::process
