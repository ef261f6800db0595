#include "support/scripted_spawner.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <cstdint>
#include <new>

namespace autoexec::test {

namespace {

class ScriptedProcess final : public Process {
public:
    ScriptedProcess(const asio::any_io_executor& ex, std::shared_ptr<ScriptedProgram> program,
                    std::function<void(ScriptedProgram&)> on_wait)
        : program_(std::move(program)), on_wait_(std::move(on_wait)), end_(ex, time_point::max())
    {
        program_->waiter = &end_;
    }
    ~ScriptedProcess() override
    {
        program_->waiter = nullptr;
        if (!program_->ended) program_->die(SIGKILL);
    }

    asio::awaitable<ProcessExit> wait(
        std::function<void(OutputStream, std::string_view)> output) override
    {
        const auto program = program_;
        program->output = std::move(output);
        if (on_wait_) on_wait_(*program);
        error_code ignored;
        while (!program->ended)
            co_await end_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        program->output = nullptr;
        co_return *program->ended;
    }
    void write(std::string text) override
    {
        program_->input += text;
        if (program_->on_input) program_->on_input(text);
    }
    void close_input() override { program_->input_closed = true; }
    void stop() noexcept override
    {
        ++program_->stops;
        if (!program_->deaf) program_->die(SIGTERM);
    }
    std::int64_t pid() const noexcept override { return 4711; }

private:
    std::shared_ptr<ScriptedProgram> program_;
    std::function<void(ScriptedProgram&)> on_wait_;
    asio::steady_timer end_;
};

}  // namespace

void ScriptedProgram::print(std::string_view text, OutputStream stream)
{
    output(stream, text);
}

void ScriptedProgram::exit(int code)
{
    ProcessExit e;
    e.exit_code = code;
    finish(std::move(e));
}

void ScriptedProgram::die(int signal)
{
    ProcessExit e;
    e.signal = signal;
    finish(std::move(e));
}

void ScriptedProgram::finish(ProcessExit e)
{
    if (!ended) ended = std::move(e);
    if (waiter != nullptr) waiter->cancel();
}

std::size_t ScriptedSpawner::running() const
{
    std::size_t n = 0;
    for (const auto& program : programs) n += program->ended ? 0U : 1U;
    return n;
}

std::unique_ptr<Process> ScriptedSpawner::spawn(const asio::any_io_executor& ex,
                                                const ProcessSpec& spec, error_code& ec,
                                                std::string& why)
{
    if (lacks_memory) throw std::bad_alloc();
    ec = refusal;
    if (ec) {
        why = "It cannot be started.";
        return nullptr;
    }
    programs.push_back(std::make_shared<ScriptedProgram>(spec));
    return std::make_unique<ScriptedProcess>(ex, programs.back(), on_wait);
}

}  // namespace autoexec::test
