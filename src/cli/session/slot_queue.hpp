#pragma once

#include "autoexec/event.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::cli {

/// Executions that wait for a slot, in the order in which they get one. Only those of one executor
/// are known: others of the project compete with them.
class SlotQueue {
public:
    /// Follows the events of all executions.
    void publish(const Event& event);
    void erase(const std::string& execution_id);

    [[nodiscard]] bool contains(const std::string& execution_id) const
    {
        return keys_.contains(execution_id);
    }
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    /// From 1; zero: it does not wait for one.
    [[nodiscard]] std::size_t place_of(const std::string& execution_id) const;
    /// The first ones, at most `count`.
    [[nodiscard]] std::vector<std::string> first(std::size_t count) const;

private:
    using Key = std::pair<std::int64_t, std::size_t>;  ///< Negated priority, number of the event.

    std::map<Key, std::string> ids_;
    std::map<std::string, Key> keys_;
    std::size_t count_ = 0;
};

}  // namespace autoexec::cli
