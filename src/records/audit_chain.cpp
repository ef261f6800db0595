#include "records/audit_chain.hpp"

#include "text/text.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <new>
#include <system_error>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::string_view seq_key = ", \"seq\": ";
constexpr std::string_view prev_key = ", \"prev\": \"";
constexpr std::string_view hash_key = ", \"hash\": \"";
constexpr std::string_view link_end = "\"}";
constexpr std::string_view name_key = ", \"key\": \"";
constexpr std::size_t digits_of_name = 8;
constexpr std::size_t digits_of_hash = 64;
// What follows the bytes that are hashed.
constexpr std::size_t hash_size = hash_key.size() + digits_of_hash + link_end.size();

bool is_hash(std::string_view text)
{
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Removes `key`, so many digits and `end` from the end of `line`.
std::optional<std::string_view> remove_hash(std::string_view& line, std::string_view key,
                                            std::string_view end,
                                            std::size_t count = digits_of_hash)
{
    const auto size = key.size() + count + end.size();
    if (line.size() < size || !line.ends_with(end)) return std::nullopt;
    const auto part = line.substr(line.size() - size);
    const auto hash = part.substr(key.size(), count);
    if (!part.starts_with(key) || !is_hash(hash)) return std::nullopt;
    line.remove_suffix(size);
    return hash;
}

}  // namespace

std::string_view first_prev() noexcept
{
    static constexpr std::string_view zeros =
        "0000000000000000000000000000000000000000000000000000000000000000";
    static_assert(zeros.size() == digits_of_hash);
    return zeros;
}

AuditChain::AuditChain(std::string key) : key_(std::move(key))
{
    if (!key_.empty()) key_name_ = hash("autoexec audit log").substr(0, digits_of_name);
}

std::string AuditChain::hash(std::string_view text) const
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    // Fetching it again takes longer than hashing a line.
    static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    const bool done =
        key_.empty() ? EVP_Digest(bytes, text.size(), digest.data(), &size, sha256, nullptr) == 1
                     : HMAC(sha256, key_.data(), static_cast<int>(key_.size()), bytes, text.size(),
                            digest.data(), &size) != nullptr;
    if (!done) throw std::bad_alloc();  // the only reason
    return text::hex({reinterpret_cast<const char*>(digest.data()), size});
}

std::string AuditChain::extend(std::string_view lines, std::uint64_t max_bytes,
                               ChainLink& last) const
{
    std::string chained;
    chained.reserve(lines.size() + lines.size() / 2);
    while (!lines.empty() && (chained.empty() || chained.size() < max_bytes)) {
        const auto end = lines.find('\n');
        auto line = lines.substr(0, end);
        lines.remove_prefix(end + 1);
        if (line.ends_with('}')) line.remove_suffix(1);
        const auto begin = chained.size();
        last.prev = last.seq == 0 ? std::string(first_prev()) : std::exchange(last.hash, {});
        ++last.seq;
        chained.append(line);
        if (!key_name_.empty()) chained.append(name_key).append(key_name_) += '"';
        fmt::format_to(std::back_inserter(chained), "{}{}{}{}\"", seq_key, last.seq, prev_key,
                       last.prev);
        last.hash = hash(std::string_view(chained).substr(begin));
        chained.append(hash_key).append(last.hash).append(link_end) += '\n';
    }
    return chained;
}

bool AuditChain::is_right(std::string_view line, const ChainLink& link) const
{
    return line.size() > hash_size && hash(line.substr(0, line.size() - hash_size)) == link.hash;
}

std::optional<ChainLink> link_of(std::string_view line)
{
    ChainLink link;
    const auto hash = remove_hash(line, hash_key, link_end);
    if (!hash) return std::nullopt;
    const auto prev = remove_hash(line, prev_key, "\"");
    if (!prev) return std::nullopt;
    const auto at = line.rfind(seq_key);
    if (at == line.npos) return std::nullopt;
    const auto number = line.substr(at + seq_key.size());
    const auto* const end = number.data() + number.size();
    const auto [stop, ec] = std::from_chars(number.data(), end, link.seq);
    if (ec != std::errc{} || stop != end || link.seq == 0 || number.starts_with('0'))
        return std::nullopt;
    line = line.substr(0, at);
    link.key = remove_hash(line, name_key, "\"", digits_of_name).value_or("");
    link.hash = *hash;
    link.prev = *prev;
    return link;
}

bool has_damaged_end(std::string_view line)
{
    const auto at = line.rfind(hash_key);
    if (at == line.npos || line.size() - at < hash_size) return false;
    auto whole = std::string(line.substr(0, at + hash_size - link_end.size())).append(link_end);
    return line != whole && link_of(whole).has_value();
}

}  // namespace autoexec::records
