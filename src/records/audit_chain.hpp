#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace autoexec::records {

/// The end of a line of the audit log: `, "seq": 7, "prev": "…", "hash": "…"}`, with a key after
/// `, "key": "1a2b3c4d"`.
struct ChainLink {
    std::string key;  ///< Names the key; empty: there was none.
    std::uint64_t seq = 0;
    std::string prev;  ///< The hash of the line before.
    std::string hash;  ///< Of the line up to `, "hash"`.
};

/// Chains the lines of the audit log by hashes, so that a change of one shows: SHA-256, or with a
/// key HMAC-SHA-256, which only those can compute who have the key.
///
/// Thread safety: const functions may be called from any thread.
class AuditChain {
public:
    /// Empty: no key.
    explicit AuditChain(std::string key = {});

    /// What names the key in a link; empty: there is no key.
    [[nodiscard]] const std::string& key_name() const noexcept { return key_name_; }

    /// Adds a link that follows `last` to as many of `lines` as make `max_bytes`, one at least.
    /// Removes these from the front of `lines`, and advances `last` to the link of the last one.
    /// `lines`, of which there is one, are JSON objects on lines of their own.
    [[nodiscard]] std::string extend(std::string_view& lines, std::uint64_t max_bytes,
                                     ChainLink& last) const;

    /// Whether the hash of a line with that link is right.
    [[nodiscard]] bool is_right(std::string_view line, const ChainLink& link) const;

    /// The hash in hexadecimal.
    [[nodiscard]] std::string hash(std::string_view text) const;

private:
    using Digest = std::array<char, 64>;  // in hexadecimal
    [[nodiscard]] Digest digest_of(std::string_view text) const;

    std::string key_;
    std::string key_name_;
};

/// The link at the end of a line without its newline; nullopt: it has none.
std::optional<ChainLink> link_of(std::string_view line);

/// Whether the link at the end of a line has a wrong end. A line that was not written to its end
/// has no such link.
bool has_damaged_end(std::string_view line);

/// What the first line has in place of a hash of the line before: 64 zeros.
std::string_view first_prev() noexcept;

}  // namespace autoexec::records
