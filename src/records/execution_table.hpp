#pragma once

#include "autoexec/command.hpp"

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

/// Executions by the hash of their id, in the order in which they are added. An index that fits
/// into the cache of a processor finds them: in a common hash table, most additions wait for the
/// memory.
///
/// Thread safety: none.
class ExecutionTable {
public:
    static constexpr std::size_t max_size = 131'072;

    struct Entry {
        std::uint64_t hash = 0;
        KnownExecution execution;
    };

    ExecutionTable() : index_(2 * max_size) {}

    /// Null: there is none. Valid until `clear`.
    KnownExecution* find(std::uint64_t hash)
    {
        const auto place = index_[slot_of(hash)];
        return place == 0 ? nullptr : &entries_[position_of(place)].execution;
    }

    /// There is none with that hash, and `size()` is below `max_size`.
    KnownExecution& add(std::uint64_t hash, const KnownExecution& execution)
    {
        if (entries_.capacity() < max_size) entries_.reserve(max_size);
        entries_.push_back({hash, execution});
        index_[slot_of(hash)] =
            static_cast<std::uint32_t>((hash >> tag_shift << position_bits) | entries_.size());
        return entries_.back().execution;
    }

    /// Keeps the memory.
    void clear()
    {
        entries_.clear();
        index_.assign(index_.size(), 0);
    }

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

private:
    static constexpr unsigned position_bits = 18;
    static constexpr unsigned tag_shift = 64 - (32 - position_bits);
    static_assert(max_size < std::size_t{1} << position_bits);

    static std::size_t position_of(std::uint32_t place)
    {
        return (place & ((1U << position_bits) - 1)) - 1;
    }

    // That of the execution, or the one that it would get.
    [[nodiscard]] std::size_t slot_of(std::uint64_t hash) const
    {
        const auto mask = index_.size() - 1;
        auto slot = static_cast<std::size_t>(hash) & mask;
        for (; index_[slot] != 0; slot = (slot + 1) & mask) {
            // Entries are looked at only where a part of the hash fits.
            const auto place = index_[slot];
            if (place >> position_bits == hash >> tag_shift &&
                entries_[position_of(place)].hash == hash)
                break;
        }
        return slot;
    }

    // By the end of the hash: its beginning, and one more than the position. Zero: empty.
    std::vector<std::uint32_t> index_;
    std::vector<Entry> entries_;
};

}  // namespace autoexec::records
