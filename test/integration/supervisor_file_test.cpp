#include "process/supervisor_file.hpp"
#include "support/temporary_folder.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <string>

using namespace autoexec;
using namespace autoexec::test;
namespace fs = std::filesystem;

namespace {

// What the CMake target gives an application; here each test decides.
std::string packaged;

constexpr const char* supervisor = AUTOEXEC_BINARY_DIR "/autoexec-supervise";

struct Packaged {
    Packaged()
    {
        fs::copy_file(supervisor, folder / "supervisor");
        packaged = (folder / "supervisor").string();
    }
    ~Packaged() { packaged.clear(); }

    TemporaryFolder folder;
    // Where one is installed on this machine, that comes first.
    const bool installed = [] {
        const auto path = process::find_supervisor().path;
        return !path.empty() && path != packaged;
    }();
};

}  // namespace

extern "C" const char* autoexec_packaged_supervisor() noexcept
{
    return packaged.c_str();
}

TEST_SUITE_BEGIN("supervisor file");

TEST_CASE("without any, each place is named with the reason")
{
    const auto found = process::find_supervisor();
    if (!found.path.empty()) return;
    CHECK_FALSE(found.file);
    CHECK(found.problem.starts_with("autoexec-supervise was not found; tried "));
    const auto beside = fs::read_symlink("/proc/self/exe").parent_path() / "autoexec-supervise";
    const auto named = beside.string() + " (No such file or directory)";
    CHECK(found.problem.find(named) != std::string::npos);
    CHECK(found.problem.find(named) == found.problem.rfind(named));
}

TEST_CASE_FIXTURE(Packaged, "the path that the application was built with counts")
{
    if (installed) return;
    const auto found = process::find_supervisor();
    CHECK(found.path == packaged);
    CHECK(found.file);
}

TEST_CASE_FIXTURE(Packaged, "the path of the build is not trusted where others could have made it")
{
    if (installed) return;
    SUBCASE("others can write it")
    {
        fs::permissions(packaged, fs::perms(0777));
    }
    SUBCASE("it belongs to another user")
    {
        if (::geteuid() != 0) return;
        REQUIRE(::chown(packaged.c_str(), 65534, 65534) == 0);
    }
    const auto found = process::find_supervisor();
    CHECK(found.path.empty());
    CHECK(found.problem.find(packaged + " (it belongs to another user") != std::string::npos);
}

TEST_SUITE_END();
