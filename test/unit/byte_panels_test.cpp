// Holds on every SIMD target: products of panels are exact, for every number of rows, columns and dimensions, at the
// extremes; and the columns below a bound are those that plain arithmetic finds.
#include "vector/byte_panels.hpp"

#include "unit/simd_targets.hpp"

#include "base/random.hpp"

#include <algorithm>
#include <vector>

namespace lm_diskann {
namespace {

struct Matrices {
	Matrices(size_t row_count_p, size_t column_count_p, size_t dims_p)
	    : row_count(row_count_p), column_count(column_count_p), dims(dims_p),
	      panel_count((column_count + PANEL_COLUMNS - 1) / PANEL_COLUMNS), rows(row_count * PanelDims(dims)),
	      columns(column_count * dims) {
	}

	std::vector<int32_t> Products() const {
		// What stands behind the last column must not matter.
		std::vector<uint8_t> panels(panel_count * PANEL_COLUMNS * PanelDims(dims), 99);
		for (size_t begin = 0; begin < column_count; begin += PANEL_COLUMNS) {
			std::vector<const uint8_t *> pointers;
			for (size_t c = begin; c < std::min(column_count, begin + PANEL_COLUMNS); c++) {
				pointers.push_back(columns.data() + c * dims);
			}
			PackPanel(pointers.data(), pointers.size(), dims, panels.data() + begin * PanelDims(dims));
		}
		std::vector<const int8_t *> pointers;
		for (size_t r = 0; r < row_count; r++) {
			pointers.push_back(rows.data() + r * PanelDims(dims));
		}
		std::vector<int32_t> products(row_count * panel_count * PANEL_COLUMNS);
		PanelProducts(pointers.data(), row_count, panels.data(), panel_count, PanelDims(dims), products.data());
		return products;
	}

	void ExpectExact() const {
		const std::vector<int32_t> products = Products();
		for (size_t r = 0; r < row_count; r++) {
			for (size_t c = 0; c < column_count; c++) {
				int32_t expected = 0;
				for (size_t j = 0; j < dims; j++) {
					expected += rows[r * PanelDims(dims) + j] * columns[c * dims + j];
				}
				ASSERT_EQ(products[r * panel_count * PANEL_COLUMNS + c], expected)
				    << dims << " dims, row " << r << " of " << row_count << ", column " << c << " of " << column_count;
			}
		}
	}

	size_t row_count, column_count, dims, panel_count;
	//! A multiple of 4 bytes each, the last zeros.
	std::vector<int8_t> rows;
	std::vector<uint8_t> columns;
};

TEST(BytePanels, ProductsAreExact) {
	OnEveryTarget([] {
		Random random(3);
		for (size_t dims = 1; dims <= 140; dims++) {
			Matrices matrices(1 + random.Next() % 10, 1 + random.Next() % 130, dims);
			for (size_t i = 0; i < matrices.rows.size(); i++) {
				const bool is_padding = i % PanelDims(dims) >= dims;
				matrices.rows[i] = is_padding ? int8_t(0) : int8_t(int64_t(random.Next() % 255) - 127);
			}
			for (uint8_t &value : matrices.columns) {
				value = uint8_t(random.Next());
			}
			matrices.ExpectExact();
		}
	});
}

TEST(BytePanels, HoldTheLargestSums) {
	OnEveryTarget([] {
		for (const int value : {-127, 127}) {
			Matrices matrices(5, 17, 16384);
			std::fill(matrices.rows.begin(), matrices.rows.end(), int8_t(value));
			std::fill(matrices.columns.begin(), matrices.columns.end(), uint8_t(255));
			matrices.ExpectExact();
		}
	});
}

TEST(BytePanels, NearColumnsAreThoseBelowTheBound) {
	OnEveryTarget([] {
		Random random(4);
		for (size_t count = 1; count <= 80; count++) {
			// Whole numbers, so that no order of the sums rounds.
			const size_t room = (count + PANEL_COLUMNS - 1) / PANEL_COLUMNS * PANEL_COLUMNS;
			std::vector<float> scales(room), norms(room), extras(room), distances(room);
			std::vector<int32_t> products(room);
			std::vector<uint32_t> columns(room);
			for (size_t c = 0; c < room; c++) {
				scales[c] = float(random.Next() % 8);
				norms[c] = float(random.Next() % 1000);
				extras[c] = float(random.Next() % 16);
				products[c] = int32_t(random.Next() % 2000) - 1000;
			}
			const PanelDistances formula = {scales.data(), norms.data(), extras.data(), -2, -4, 33};
			const auto bound = float(int64_t(random.Next() % 8000) - 4000);
			const size_t found = NearColumns(formula, products.data(), count, bound, columns.data(), distances.data());
			size_t next = 0;
			for (uint32_t c = 0; c < count; c++) {
				const float distance = -2 * scales[c] * float(products[c] + 33) - 4 * extras[c] + norms[c];
				if (distance < bound) {
					ASSERT_LT(next, found);
					EXPECT_EQ(columns[next], c);
					EXPECT_EQ(distances[next], distance);
					next++;
				}
			}
			EXPECT_EQ(next, found) << count;
		}
	});
}

} // namespace
} // namespace lm_diskann
