#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::view {

template <class Entry>
using EntryList = std::vector<std::shared_ptr<const Entry>>;

/// The entries of one kind, each with the number of its last change. Those that are gone are
/// remembered for a while.
template <class Entry>
class Entries {
public:
    static constexpr std::size_t max_gone = 10'000;

    /// Makes these the current ones; of those with the same key, the first. What has changed gets
    /// the number `sequence`. Returns whether anything has. Unchanged entries are compared only if
    /// they are other objects.
    bool update(EntryList<Entry> now, std::uint64_t sequence)
    {
        const auto by_key = [](const auto& a, const auto& b) { return a->key() < b->key(); };
        if (!std::is_sorted(now.begin(), now.end(), by_key))
            std::stable_sort(now.begin(), now.end(), by_key);
        bool changed = false;
        auto old = current_.begin();
        for (auto& entry : now) {
            const auto& key = entry->key();
            while (old != current_.end() && old->first < key) {
                old = remove(old, sequence);
                changed = true;
            }
            if (old == current_.end() || old->first != key) {
                if (is_last(old, key)) continue;
                Slot slot{std::move(entry), sequence};
                current_.emplace_hint(old, key, std::move(slot));
                changed = true;
                continue;
            }
            auto& slot = (old++)->second;
            if (slot.entry == entry) continue;
            if (*slot.entry != *entry) {
                slot.sequence = sequence;
                changed = true;
            }
            slot.entry = std::move(entry);
        }
        while (old != current_.end()) {
            old = remove(old, sequence);
            changed = true;
        }
        return changed;
    }

    /// Calls `visit` with those that have changed after `sequence`.
    template <class Visit>
    void for_each_since(std::uint64_t sequence, Visit visit) const
    {
        for (const auto& [key, slot] : current_)
            if (slot.sequence > sequence) visit(*slot.entry);
    }

    /// The keys of those that have gone after `sequence` and not come back.
    [[nodiscard]] std::vector<std::string> gone_since(std::uint64_t sequence) const
    {
        std::vector<std::string> keys;
        for (auto at = gone_.rbegin(); at != gone_.rend() && at->second > sequence; ++at)
            if (!current_.contains(at->first)) keys.push_back(at->first);
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        return keys;
    }

    /// Whether `gone_since` still knows all of them.
    [[nodiscard]] bool knows(std::uint64_t sequence) const noexcept
    {
        return sequence >= forgotten_;
    }

private:
    struct Slot {
        std::shared_ptr<const Entry> entry;
        std::uint64_t sequence = 0;
    };
    using Map = std::map<std::string, Slot>;

    // Whether the entry before `at` has this key.
    [[nodiscard]] bool is_last(typename Map::iterator at, const std::string& key)
    {
        return at != current_.begin() && std::prev(at)->first == key;
    }

    typename Map::iterator remove(typename Map::iterator at, std::uint64_t sequence)
    {
        gone_.emplace_back(at->first, sequence);
        if (gone_.size() > max_gone) {
            forgotten_ = gone_.front().second;
            gone_.pop_front();
        }
        return current_.erase(at);
    }

    Map current_;
    std::deque<std::pair<std::string, std::uint64_t>> gone_;  ///< By number.
    std::uint64_t forgotten_ = 0;  ///< The number of the last one that was dropped.
};

}  // namespace autoexec::view
