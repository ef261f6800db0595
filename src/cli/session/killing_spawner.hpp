#pragma once

#include "async/short_names.hpp"
#include "autoexec/ports.hpp"

#include <memory>
#include <vector>

namespace autoexec::cli {

/// Starts programs by another spawner, and can kill all that it has started. One thread.
class KillingSpawner final : public Spawner {
public:
    explicit KillingSpawner(std::shared_ptr<Spawner> inner);
    ~KillingSpawner() override;

    std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                   error_code& ec, std::string& why) override;

    /// Kills without a grace period; pending waits complete. Later calls of `spawn` fail.
    void kill_all();

private:
    struct Running;
    class KillableProcess;

    std::shared_ptr<Spawner> inner_;
    std::vector<std::weak_ptr<Running>> running_;
    bool killed_ = false;
};

}  // namespace autoexec::cli
