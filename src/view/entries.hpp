#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace autoexec::view {

template <class Entry>
using EntryList = std::vector<std::shared_ptr<const Entry>>;

/// The entries of one kind, each with the number of its last change. Those that are gone are
/// remembered for a while. Numbers never decrease from call to call.
template <class Entry>
class Entries {
public:
    static constexpr std::size_t max_gone = 10'000;
    using Pointer = std::shared_ptr<const Entry>;

    Entries() = default;
    Entries(const Entries&) = delete;
    Entries& operator=(const Entries&) = delete;

    /// Null: there is none.
    [[nodiscard]] Pointer find(const std::string& key) const
    {
        const auto at = current_.find(key);
        return at == current_.end() ? nullptr : at->second.entry;
    }

    /// Adds an entry, or replaces that of the same key. True if it is another than before.
    bool put(Pointer entry, std::uint64_t sequence)
    {
        const auto [at, is_new] = current_.try_emplace(entry->key());
        auto& slot = at->second;
        if (is_new) slot.place = by_change_.insert(by_change_.end(), &slot);
        const bool is_same = !is_new && (slot.entry == entry || *slot.entry == *entry);
        slot.entry = std::move(entry);
        if (is_same) return false;
        slot.sequence = sequence;
        by_change_.splice(by_change_.end(), by_change_, slot.place);
        return true;
    }

    /// True if there was one.
    bool erase(const std::string& key, std::uint64_t sequence)
    {
        const auto at = current_.find(key);
        if (at == current_.end()) return false;
        by_change_.erase(at->second.place);
        current_.erase(at);
        gone_.emplace_back(key, sequence);
        if (gone_.size() > max_gone) {
            forgotten_ = gone_.front().second;
            gone_.pop_front();
        }
        return true;
    }

    /// Makes these the current ones; of those with the same key, the first. True if any has
    /// changed.
    bool update(EntryList<Entry> now, std::uint64_t sequence)
    {
        std::stable_sort(now.begin(), now.end(),
                         [](const auto& a, const auto& b) { return a->key() < b->key(); });
        const auto same = [](const auto& a, const auto& b) { return a->key() == b->key(); };
        now.erase(std::unique(now.begin(), now.end(), same), now.end());
        std::vector<std::string> gone;
        auto next = now.begin();
        for (const auto& [key, slot] : current_) {
            while (next != now.end() && (*next)->key() < key) ++next;
            if (next == now.end() || (*next)->key() != key) gone.push_back(key);
        }
        for (const auto& key : gone) (void)erase(key, sequence);
        bool changed = !gone.empty();
        for (auto& entry : now) changed = put(std::move(entry), sequence) || changed;
        return changed;
    }

    /// Calls `visit` with those that have changed after `sequence`, by their keys.
    template <class Visit>
    void for_each_since(std::uint64_t sequence, Visit visit) const
    {
        std::vector<const Entry*> changed;
        for (auto at = by_change_.rbegin(); at != by_change_.rend(); ++at) {
            if ((*at)->sequence <= sequence) break;
            changed.push_back((*at)->entry.get());
        }
        std::sort(changed.begin(), changed.end(),
                  [](const auto* a, const auto* b) { return a->key() < b->key(); });
        for (const auto* const entry : changed) visit(*entry);
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
        Pointer entry;
        std::uint64_t sequence = 0;
        typename std::list<const Slot*>::iterator place;
    };

    std::map<std::string, Slot> current_;
    std::list<const Slot*> by_change_;                        ///< By number.
    std::deque<std::pair<std::string, std::uint64_t>> gone_;  ///< The same.
    std::uint64_t forgotten_ = 0;  ///< The number of the last one that was dropped.
};

}  // namespace autoexec::view
