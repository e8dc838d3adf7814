#pragma once

#include "agent/program/Program.h"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <zstd.h>

namespace agent
{

/// Returns what zstd made smaller. It must be whole.
inline std::string unpacked(const std::string& packed)
{
    ZSTD_DCtx* context = ZSTD_createDCtx();
    std::string out;
    ZSTD_inBuffer input{packed.data(), packed.size(), 0};
    std::size_t left = 1;
    while (left != 0)
    {
        std::string block(ZSTD_DStreamOutSize(), '\0');
        ZSTD_outBuffer output{block.data(), block.size(), 0};
        left = ZSTD_decompressStream(context, &output, &input);
        if (ZSTD_isError(left) != 0 || (input.pos == input.size && output.pos == 0))
            break;
        out.append(block, 0, output.pos);
    }
    ZSTD_freeDCtx(context);
    CPPUNIT_ASSERT_EQUAL_MESSAGE("a whole frame", std::size_t(0), left);
    CPPUNIT_ASSERT_EQUAL(packed.size(), input.pos);
    return out;
}

/// Has GNU tar extract a `.tar.zst` into a folder.
inline void extract(const std::string& packed, const std::filesystem::path& folder)
{
    std::filesystem::create_directories(folder);
    const auto archive = folder.parent_path() / (folder.filename().string() + ".tar");
    std::ofstream(archive, std::ios::binary) << unpacked(packed);
    const auto end =
        runProgram({.argv = {"/bin/tar", "-xpf", archive.string(), "-C", folder.string()}});
    CPPUNIT_ASSERT_MESSAGE(end.describe() + end.err, end.passed() && end.err.empty());
}

} // namespace agent
