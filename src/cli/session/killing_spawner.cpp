#include "cli/session/killing_spawner.hpp"

#include <utility>

namespace autoexec::cli {

struct KillingSpawner::Running {
    std::unique_ptr<Process> process;  ///< Absent: killed.
    std::int64_t pid = 0;
};

class KillingSpawner::KillableProcess final : public Process {
public:
    explicit KillableProcess(std::shared_ptr<Running> running) : running_(std::move(running)) {}
    ~KillableProcess() override { running_->process.reset(); }

    asio::awaitable<ProcessExit> wait(
        std::function<void(OutputStream, std::string_view)> output) override
    {
        if (running_->process) return running_->process->wait(std::move(output));
        return end_of_killed();
    }
    void write(std::string text) override
    {
        if (running_->process) running_->process->write(std::move(text));
    }
    void close_input() override
    {
        if (running_->process) running_->process->close_input();
    }
    void stop() noexcept override
    {
        if (running_->process) running_->process->stop();
    }
    [[nodiscard]] std::int64_t pid() const noexcept override { return running_->pid; }

private:
    static asio::awaitable<ProcessExit> end_of_killed()
    {
        ProcessExit exit;
        exit.error = "The program was killed before it started.";
        co_return exit;
    }

    const std::shared_ptr<Running> running_;
};

KillingSpawner::KillingSpawner(std::shared_ptr<Spawner> inner) : inner_(std::move(inner)) {}

KillingSpawner::~KillingSpawner() = default;

std::unique_ptr<Process> KillingSpawner::spawn(const asio::any_io_executor& ex,
                                               const ProcessSpec& spec, error_code& ec,
                                               std::string& why)
{
    if (killed_) {
        ec = make_error_code(boost::system::errc::operation_canceled);
        why = "Not started, because all programs are being killed.";
        return nullptr;
    }
    auto process = inner_->spawn(ex, spec, ec, why);
    if (!process) return nullptr;
    const auto running = std::make_shared<Running>();
    running->pid = process->pid();
    running->process = std::move(process);
    std::erase_if(running_, [](const auto& other) { return other.expired(); });
    running_.push_back(running);
    return std::make_unique<KillableProcess>(running);
}

// A process that is destroyed while it stops is killed at once.
void KillingSpawner::kill_all()
{
    killed_ = true;
    for (const auto& weak : std::exchange(running_, {})) {
        const auto running = weak.lock();
        if (!running || !running->process) continue;
        running->process->stop();
        running->process.reset();
    }
}

}  // namespace autoexec::cli
