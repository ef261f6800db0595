#pragma once

#include "autoexec/command.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace autoexec::records {

/// What a summary knows of an execution: the group and the status of its last attempt.
struct KnownExecution {
    std::uint64_t seen = 0;  ///< Bit n: attempt n + 1; bit 63: that and all after it.
    std::uint32_t group = 0;
    std::int32_t last = 0;    ///< Its `retry_count`.
    std::int32_t newest = 0;  ///< `retry_count` of the line before.
    ExecutionStatus status = ExecutionStatus::failed;
};

/// The executions of the last 131,072 lines or more, by the hash of their id, and those of which
/// attempts are still missing. An index that fits into the cache of a processor finds them: in a
/// common hash table, most additions wait for the memory.
///
/// Thread safety: none.
class ExecutionTable {
public:
    /// As many lines as a writer may keep in memory: what it writes twice is no further apart.
    static constexpr std::size_t max_recent = 131'072;

    ExecutionTable() : index_(4 * max_recent) {}

    /// Begins to load the place of an execution, while the caller does something else.
    void prefetch(std::uint64_t hash) const
    {
        __builtin_prefetch(&index_[static_cast<std::size_t>(hash) & (index_.size() - 1)]);
    }

    /// Valid until the next call.
    KnownExecution& find_or_add(std::uint64_t hash, bool& is_new)
    {
        auto slot = slot_of(hash);
        is_new = index_[slot] == 0;
        if (!is_new && generation_of(index_[slot]) == recent_)
            return entry_at(index_[slot]).execution;
        const auto execution = is_new ? KnownExecution{} : entry_at(index_[slot]).execution;
        if (generations_[recent_].size() == max_recent) {
            forget_older();
            slot = slot_of(hash);
        }
        return add_at(slot, {hash, execution});
    }

private:
    struct Entry {
        std::uint64_t hash = 0;
        KnownExecution execution;
    };

    static constexpr unsigned position_bits = 17;
    static constexpr unsigned place_bits = position_bits + 2;
    static constexpr unsigned tag_shift = 64 - (32 - place_bits);
    static_assert(max_recent == std::size_t{1} << position_bits);

    // A place in the index is, from its lowest bit: that it is used, a generation, the position in
    // it, and the beginning of the hash.
    static std::uint32_t place_of(std::uint64_t hash, std::size_t generation, std::size_t position)
    {
        return static_cast<std::uint32_t>(hash >> tag_shift << place_bits | position << 2 |
                                          generation << 1 | 1);
    }
    static std::size_t generation_of(std::uint32_t place) { return place >> 1 & 1; }
    Entry& entry_at(std::uint32_t place)
    {
        return generations_[generation_of(place)][place >> 2 & (max_recent - 1)];
    }

    // That of the execution, or the one that it would get.
    std::size_t slot_of(std::uint64_t hash)
    {
        const auto mask = index_.size() - 1;
        auto slot = static_cast<std::size_t>(hash) & mask;
        for (; index_[slot] != 0; slot = (slot + 1) & mask) {
            // Entries are looked at only where a part of the hash fits.
            const auto place = index_[slot];
            if (place >> place_bits == hash >> tag_shift && entry_at(place).hash == hash) break;
        }
        return slot;
    }

    KnownExecution& add_at(std::size_t slot, const Entry& entry)
    {
        auto& entries = generations_[recent_];
        if (entries.capacity() < max_recent) entries.reserve(max_recent);
        index_[slot] = place_of(entry.hash, recent_, entries.size());
        entries.push_back(entry);
        return entries.back().execution;
    }

    // Makes the recent generation the older one.
    void forget_older()
    {
        auto& older = generations_[1 - recent_];
        std::vector<Entry> open;
        for (const auto& entry : older) {
            const bool is_first_known = (entry.execution.seen & 1) != 0;
            if (!is_first_known && generation_of(index_[slot_of(entry.hash)]) != recent_)
                open.push_back(entry);
        }
        // Attempts that were removed are never found.
        if (open.size() > max_recent / 2) open.clear();
        older.clear();
        std::fill(index_.begin(), index_.end(), 0);
        const auto& kept = generations_[recent_];
        for (std::size_t i = 0; i < kept.size(); ++i)
            index_[slot_of(kept[i].hash)] = place_of(kept[i].hash, recent_, i);
        recent_ = 1 - recent_;
        for (const auto& entry : open) add_at(slot_of(entry.hash), entry);
    }

    std::vector<std::uint32_t> index_;  // by the end of the hash; zero: empty
    std::array<std::vector<Entry>, 2> generations_;
    std::size_t recent_ = 0;
};

}  // namespace autoexec::records
