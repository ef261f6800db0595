#pragma once

#include "async/short_names.hpp"
#include "autoexec/ports.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace autoexec::test {

/// Starts programs by another spawner, after the test has had its say on each.
struct HookedSpawner final : Spawner {
    using Hook = std::function<void(ProcessSpec&)>;

    HookedSpawner(std::shared_ptr<Spawner> s, Hook h) : spawner(std::move(s)), hook(std::move(h)) {}

    std::unique_ptr<Process> spawn(const asio::any_io_executor& ex, const ProcessSpec& spec,
                                   error_code& ec, std::string& why) override
    {
        auto changed = spec;
        hook(changed);
        return spawner->spawn(ex, changed, ec, why);
    }

    std::shared_ptr<Spawner> spawner;
    Hook hook;
};

}  // namespace autoexec::test
