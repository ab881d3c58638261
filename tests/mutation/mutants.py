"""Deliberate breaks of the dbt project: mistakes that people make, one each.

To add one, add an entry. `original` must occur once in `file`. What is built is the model, snapshot
or seed of the file and everything after it; `select` says what instead, for files that are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One break.

    Attributes:
        name: Says what is broken; unique.
        file: Path in the repository.
        original: Text that the break replaces; occurs once in the file.
        broken: What stands there instead.
        stands_for: The mistake, for whoever reads that no test noticed it.
        select: What dbt builds, where it is not the file's own node and what depends on it.
        incremental: Build on top of the last build, as if a load had brought some days' lines
            and some weeks' promotions again, and not from nothing.
        snapshots_behind: Take the snapshots for the first time since products and answers changed.
    """

    name: str
    file: str
    original: str
    broken: str
    stands_for: str
    select: str = ""
    incremental: bool = False
    snapshots_behind: bool = False

    @property
    def selection(self) -> str:
        """Give dbt's `--select` for what the break concerns."""
        return self.select or f"{PurePosixPath(self.file).stem}+"

    @property
    def id(self) -> str:
        """Give what pytest selects it by: the broken file's name and its own."""
        return f"{PurePosixPath(self.file).stem}-{self.name}"

    def apply(self, text: str) -> str:
        """Break the file's text."""
        if (count := text.count(self.original)) != 1:
            raise ValueError(
                f"mutant {self.name}: expected its original text once in {self.file},"
                f" found it {count} times"
            )
        return text.replace(self.original, self.broken)


STAGING = "models/staging"
INTERMEDIATE = "models/intermediate"
MARTS = "models/marts"
OF_PROMOTIONS = "    select\n        product_id,\n        source_system\n    from promotions\n"
KPI_STEPS = "models/kpis/intermediate"
KPI_MARTS = "models/kpis/marts"
DATED = "int_sales__lines_priced+ int_shared__calendar_bounded+ int_marketing__redemptions_dated+"
UNKNOWN_LOST = {
    "original": "    select * from known\n    union all\n    select * from unknown\n",
    "broken": "    select * from known\n",
    "stands_for": "the dimension has no unknown member",
}

BUSINESS_TIME = (
    Mutant(
        name="business_time_dropped",
        file="macros/business_time.sql",
        original="timezone('{{ timezone }}', timezone('UTC', {{ utc_timestamp }}))",
        broken="{{ utc_timestamp }}",
        stands_for="UTC dates are taken for business dates",
        select=DATED,
    ),
    Mutant(
        name="business_time_with_fixed_offset",
        file="macros/business_time.sql",
        original="timezone('{{ timezone }}', timezone('UTC', {{ utc_timestamp }}))",
        broken="{{ utc_timestamp }} - interval 5 hour",
        stands_for="daylight saving is forgotten",
        select=DATED,
    ),
    Mutant(
        name="business_time_in_the_wrong_direction",
        file="macros/business_time.sql",
        original="timezone('{{ timezone }}', timezone('UTC', {{ utc_timestamp }}))",
        broken="timezone('UTC', timezone('{{ timezone }}', {{ utc_timestamp }}))",
        stands_for="the timestamp is taken for local time",
        select=DATED,
    ),
    Mutant(
        name="business_timezone_of_another_city",
        file="dbt_project.yml",
        original="business_timezone: America/New_York",
        broken="business_timezone: America/Chicago",
        stands_for="the variable names another time zone",
        select=DATED,
    ),
    Mutant(
        name="business_date_of_a_line_in_utc",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="{{ business_date('sold_at') }} as business_date",
        broken="cast(sold_at as date) as business_date",
        stands_for="UTC dates are taken for business dates in one model",
    ),
    Mutant(
        name="calendar_end_in_utc",
        file=f"{INTERMEDIATE}/shared/int_shared__calendar_bounded.sql",
        original="{{ business_date('max(sold_at)') }} as last_date",
        broken="cast(max(sold_at) as date) as last_date",
        stands_for="the year's last night opens the next year",
    ),
    Mutant(
        name="business_week_starts_on_sunday",
        file="dbt_project.yml",
        original='first_business_week_start_date: "2016-12-26"',
        broken='first_business_week_start_date: "2016-12-25"',
        stands_for="weeks start on Sunday",
        select=DATED,
    ),
    Mutant(
        name="business_week_counts_from_0",
        file="macros/business_time.sql",
        original="        + 1 as integer\n",
        broken="        + 0 as integer\n",
        stands_for="weeks are off by one",
        select=DATED,
    ),
    Mutant(
        name="business_week_rounded",
        file="macros/business_time.sql",
        original="        floor({{ days_between(",
        broken="        round({{ days_between(",
        stands_for="weeks begin on Thursday, in effect",
        select=DATED,
    ),
    Mutant(
        name="business_week_cut_towards_zero",
        file="macros/business_time.sql",
        original="        floor({{ days_between(",
        broken="        trunc({{ days_between(",
        stands_for="weeks before week 1 are off by one",
        select=DATED,
    ),
    Mutant(
        name="business_week_of_the_source",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="{{ business_week('business_date') }} as business_week",
        broken="source_week as business_week",
        stands_for="a week that other sources do not have is used in place of the derived one",
    ),
    Mutant(
        name="week_start_a_week_late",
        file="macros/business_time.sql",
        original="'7 * (' ~ business_week ~ ' - 1)'",
        broken="'7 * (' ~ business_week ~ ' - 0)'",
        stands_for="the week's Monday is that of the next week",
        select="dim_dates+",
    ),
    Mutant(
        name="business_week_of_the_source_lost",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="        source_week,\n",
        broken="        nullif(source_week, source_week) as source_week,\n",
        stands_for="there is nothing that business dates are checked against",
    ),
)

MONEY = (
    Mutant(
        name="money_in_floating_point",
        file="macros/money.sql",
        original="as decimal(18, 2))",
        broken="as double)",
        stands_for="amounts are not exact",
        select="stg_retail_db__transactions+",
    ),
    Mutant(
        name="money_in_whole_dollars",
        file="macros/money.sql",
        original="as decimal(18, 2))",
        broken="as bigint)",
        stands_for="cents are lost",
        select="stg_retail_db__transactions+",
    ),
    Mutant(
        name="money_with_one_decimal",
        file="macros/money.sql",
        original="as decimal(18, 2))",
        broken="as decimal(18, 1))",
        stands_for="cents are rounded",
        select="stg_retail_db__transactions+",
    ),
    Mutant(
        name="money_cut_to_cents",
        file="macros/money.sql",
        original="cast({{ amount }} as",
        broken="cast(floor({{ amount }} * 100) / 100 as",
        stands_for="amounts that floating point holds a little too small lose a cent",
        select="stg_retail_db__transactions+",
    ),
    Mutant(
        name="money_by_way_of_text",
        file="macros/money.sql",
        original="cast({{ amount }} as",
        broken="cast(cast({{ amount }} as varchar) as",
        stands_for="DuckDB makes a cent of a text such as '5.5e-17'",
        select="stg_retail_db__transactions+",
    ),
    Mutant(
        name="loyalty_discount_is_the_coupon",
        file=f"{STAGING}/retail_db/stg_retail_db__transactions.sql",
        original="usd('retail_disc')",
        broken="usd('coupon_disc')",
        stands_for="discount columns are swapped",
    ),
    Mutant(
        name="coupon_match_is_the_coupon",
        file=f"{STAGING}/retail_db/stg_retail_db__transactions.sql",
        original="usd('coupon_match_disc')",
        broken="usd('coupon_disc')",
        stands_for="discount columns are swapped",
    ),
    Mutant(
        name="net_sales_without_the_discount_twice",
        file=f"{STAGING}/retail_db/stg_retail_db__transactions.sql",
        original="usd('sales_value')",
        broken="usd('sales_value - retail_disc')",
        stands_for="the loyalty discount is taken off a second time",
    ),
    Mutant(
        name="gross_without_coupon_match",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="loyalty_discount_usd + coupon_match_discount_usd as gross_sales_usd",
        broken="loyalty_discount_usd as gross_sales_usd",
        stands_for="gross sales leave out a discount of the retailer",
    ),
    Mutant(
        name="gross_with_the_coupon",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="loyalty_discount_usd + coupon_match_discount_usd as gross_sales_usd",
        broken="loyalty_discount_usd + coupon_discount_usd as gross_sales_usd",
        stands_for="the manufacturer's coupon is taken for the retailer's match",
    ),
    Mutant(
        name="gross_with_the_discount_twice",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="net_sales_usd + loyalty_discount_usd + coupon_match_discount_usd as gross",
        broken="net_sales_usd + 2 * loyalty_discount_usd + coupon_match_discount_usd as gross",
        stands_for="a discount is counted twice",
    ),
    Mutant(
        name="customer_paid_ignores_the_coupon",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="net_sales_usd - coupon_discount_usd as customer_paid_usd",
        broken="net_sales_usd as customer_paid_usd",
        stands_for="the customer pays what the manufacturer refunds",
    ),
    Mutant(
        name="customer_paid_never_below_zero",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="net_sales_usd - coupon_discount_usd as customer_paid_usd",
        broken="greatest(net_sales_usd - coupon_discount_usd, 0) as customer_paid_usd",
        stands_for="coupons larger than their line are cut",
    ),
)

LINES = (
    Mutant(
        name="lines_without_value_dropped",
        file=f"{STAGING}/retail_db/stg_retail_db__transactions.sql",
        original="select * from {{ source('retail_db', 'transactions') }}",
        broken="select * from {{ source('retail_db', 'transactions') }} where sales_value > 0",
        stands_for="giveaways are taken for errors",
    ),
    Mutant(
        name="lines_without_quantity_dropped",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="    from dated\n",
        broken="    from dated\n    where quantity > 0\n",
        stands_for="coupon lines are taken for errors",
    ),
    Mutant(
        name="lines_without_household_keep_null",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="coalesce(household_id, {{ unknown_key() }}) as household_id",
        broken="household_id",
        stands_for="lines fall out of every join with households",
    ),
    Mutant(
        name="lines_without_store_keep_null",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="coalesce(store_id, {{ unknown_key() }}) as store_id",
        broken="store_id",
        stands_for="lines fall out of every join with stores",
    ),
    Mutant(
        name="lines_of_products_outside_the_catalog_lost",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="    left join products\n",
        broken="    inner join products\n",
        stands_for="an inner join loses lines",
    ),
    Mutant(
        name="lines_without_promotion_lost",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="    left join promotions_of_lines",
        broken="    inner join promotions_of_lines",
        stands_for="an inner join loses lines",
    ),
    Mutant(
        name="promoted_in_any_store",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="            and lines.store_id = promotions.store_id\n",
        broken="",
        stands_for="promotions of other stores count, and multiply lines",
    ),
    Mutant(
        name="promoted_in_any_week",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="            and lines.business_week = promotions.business_week\n",
        broken="",
        stands_for="promotions of other weeks count, and multiply lines",
    ),
    Mutant(
        name="promoted_in_the_week_before",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="            and lines.business_week = promotions.business_week\n",
        broken="            and lines.business_week = promotions.business_week + 1\n",
        stands_for="promotions count a week late",
    ),
    Mutant(
        name="every_line_promoted",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="promotions.product_id is not null as is_promoted",
        broken="lines.product_id is not null as is_promoted",
        stands_for="the wrong side of the join is asked",
    ),
    Mutant(
        name="load_of_a_line_without_its_promotion",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="coalesce(promotions.load_id, '')",
        broken="''",
        stands_for="weeks with new promotions are built again for ever",
    ),
)

BASKETS = (
    Mutant(
        name="basket_of_each_product",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="group by basket_id\n",
        broken="group by basket_id, product_id\n",
        stands_for="the grain is wrong",
    ),
    Mutant(
        name="basket_counts_quantities",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="count(*) as line_count",
        broken="cast(sum(quantity) as bigint) as line_count",
        stands_for="fuel is counted in thousands of items",
    ),
    Mutant(
        name="basket_counts_paid_lines_only",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="count(*) as line_count",
        broken="count(case when net_sales_usd > 0 then 1 end) as line_count",
        stands_for="lines without a value are not counted",
    ),
    Mutant(
        name="basket_sums_the_wrong_discount",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="{{ usd('sum(loyalty_discount_usd)') }}",
        broken="{{ usd('sum(coupon_discount_usd)') }}",
        stands_for="discount columns are swapped",
    ),
    Mutant(
        name="basket_takes_the_largest_line",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="{{ usd('sum(customer_paid_usd)') }}",
        broken="{{ usd('max(customer_paid_usd)') }}",
        stands_for="the wrong aggregate",
    ),
)

INCREMENTAL = (
    Mutant(
        name="sales_lines_append",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="incremental_strategy='delete+insert'",
        broken="incremental_strategy='append'",
        stands_for="dates that are built again are there twice",
        incremental=True,
    ),
    Mutant(
        name="baskets_append",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="incremental_strategy='delete+insert'",
        broken="incremental_strategy='append'",
        stands_for="dates that are built again are there twice",
        select="fct_sales_lines+",
        incremental=True,
    ),
    Mutant(
        name="promotion_weeks_append",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="incremental_strategy='delete+insert'",
        broken="incremental_strategy='append'",
        stands_for="weeks that are built again are there twice",
        incremental=True,
    ),
    Mutant(
        name="sales_lines_replaced_by_week",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="unique_key='business_date'",
        broken="unique_key='business_week'",
        stands_for="what is deleted is more than what is built again",
        incremental=True,
    ),
    Mutant(
        name="sales_lines_keep_the_rest_of_a_late_date_out",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original=(
            "    inner join dates_to_build\n"
            "        on lines.business_date = dates_to_build.business_date\n"
        ),
        broken="    where lines.load_id > (select last_build.load_id from last_build)\n",
        stands_for="a late line replaces its whole date",
    ),
    Mutant(
        name="sales_lines_take_the_last_load_again",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="or dates_loaded.load_id > last_build.load_id",
        broken="or dates_loaded.load_id >= last_build.load_id",
        stands_for=">= for >: every build does the last one again",
    ),
    Mutant(
        name="sales_lines_take_old_promotions_again",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="        weeks_promoted.load_id > last_build.load_id\n",
        broken="        weeks_promoted.load_id >= last_build.load_id\n",
        stands_for=">= for >: every build does the last one again",
    ),
    Mutant(
        name="sales_lines_miss_late_promotions",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="        weeks_promoted.load_id > last_build.load_id\n",
        broken="        false\n",
        stands_for="promotions that come after the sales do not count",
    ),
    Mutant(
        name="sales_lines_joined_with_a_week_too_few",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="business_week >= (select min(",
        broken="business_week > (select min(",
        stands_for="> for >=: the first week that is built again has no promotions",
    ),
    Mutant(
        name="baskets_keep_the_rest_of_a_late_date_out",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original=(
            "    inner join dates_to_build\n"
            "        on lines.business_date = dates_to_build.business_date\n"
        ),
        broken="    where lines.load_id > (select coalesce(max(load_id), '') from {{ this }})\n",
        stands_for="a late line replaces its whole date",
    ),
    Mutant(
        name="baskets_take_the_last_load_again",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="or dates_loaded.load_id <> built_dates.load_id",
        broken="or dates_loaded.load_id >= built_dates.load_id",
        stands_for=">= for <>: every build does all dates again",
    ),
    Mutant(
        name="baskets_forget_their_load",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="        max(load_id) as load_id\n    from lines_to_build",
        broken="        min(load_id) as load_id\n    from lines_to_build",
        stands_for="dates are built again for ever",
    ),
    Mutant(
        name="sales_lines_keep_labels_of_products_that_left_the_catalog",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original=("    left join {{ ref('dim_products') }} as catalog\n"),
        broken="    inner join {{ ref('dim_products') }} as catalog\n",
        stands_for="lines keep what the catalog said when they were sold",
    ),
    Mutant(
        name="sales_lines_miss_changed_labels",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="built.is_private_label <> coalesce(",
        broken="built.is_private_label > coalesce(",
        stands_for="lines keep what the catalog said when they were sold",
    ),
    Mutant(
        name="sales_lines_keep_promotions_that_the_feed_took_back",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="        or (weeks_promoted.business_week is null and built.is_promoted)\n",
        broken="",
        stands_for="lines keep what the feed said when they were sold",
    ),
    Mutant(
        name="sales_lines_that_were_taken_out_stay_out",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="        built_dates.business_date is null\n        or dates",
        broken="        dates",
        stands_for="a date that lost a line loses all of them",
    ),
    Mutant(
        name="baskets_that_were_taken_out_stay_out",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="        built_dates.business_date is null\n        or dates",
        broken="        dates",
        stands_for="a date that lost a line loses all of them",
    ),
    Mutant(
        name="sales_lines_keep_what_was_cancelled",
        file=f"{MARTS}/sales/fct_sales_lines.sql",
        original="    pre_hook=",
        broken="    pre_hook='' if true else ",
        stands_for="a refunded order is a sale for ever",
        incremental=True,
    ),
    Mutant(
        name="baskets_keep_what_was_cancelled",
        file=f"{MARTS}/sales/fct_baskets.sql",
        original="    pre_hook=",
        broken="    pre_hook='' if true else ",
        stands_for="a refunded order is a visit for ever",
        select="fct_sales_lines+",
        incremental=True,
    ),
    Mutant(
        name="dates_that_lost_amounts_alone_stay",
        file="macros/delete_periods_that_differ.sql",
        original="for amount in amounts",
        broken="for amount in []",
        stands_for="what is left of a line that is a sum is not built again",
        select="fct_sales_lines+",
        incremental=True,
    ),
    Mutant(
        name="promotion_weeks_take_the_last_load_again",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="or loaded_weeks.load_id <> built_weeks.load_id",
        broken="or loaded_weeks.load_id >= built_weeks.load_id",
        stands_for=">= for <>: every build does all weeks again",
    ),
    Mutant(
        name="promotion_weeks_by_their_first_load",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="        max(load_id) as load_id\n    from {{ ref(",
        broken="        min(load_id) as load_id\n    from {{ ref(",
        stands_for="rows that come later to a known week are missed",
    ),
)

PROMOTIONS = (
    Mutant(
        name="promotions_not_deduplicated",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="group by product_id, store_id, source_system, business_week\n",
        broken="group by product_id, store_id, source_system, business_week, display_location\n",
        stands_for="promoted lines are multiplied",
    ),
    Mutant(
        name="promotions_take_the_lesser_place",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="max(nullif(display_location, '0'))",
        broken="min(display_location)",
        stands_for="'0' (not there) wins over a place",
    ),
    Mutant(
        name="promotions_take_the_greatest_code",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="coalesce(max(nullif(mailer_location, '0')), '0')",
        broken="max(mailer_location)",
        stands_for="'0' (not there) wins over a place whose code sorts before it",
    ),
    Mutant(
        name="promotions_in_the_mailer_the_wrong_way_round",
        file=f"{MARTS}/marketing/fct_promotion_weeks.sql",
        original="deduplicated.mailer_location <> '0'",
        broken="deduplicated.mailer_location = '0'",
        stands_for="<> and = are mixed up",
    ),
    Mutant(
        name="promotions_on_display_in_the_mailer",
        file=f"{STAGING}/promotion_feed/stg_promotion_feed__promotions.sql",
        original="        display_location,\n",
        broken="        mailer_location as display_location,\n",
        stands_for="columns are swapped",
    ),
    Mutant(
        name="promotions_without_product_keep_null",
        file=f"{INTERMEDIATE}/marketing/int_marketing__promotions_attributed.sql",
        original="coalesce(product_id, {{ unknown_key() }}) as product_id",
        broken="product_id",
        stands_for="promotions fall out of every join with products",
    ),
)

PRODUCTS_AND_STORES = (
    Mutant(
        name="products_of_the_catalog_only",
        file=f"{INTERMEDIATE}/sales/int_sales__products_identified.sql",
        original="    left join products\n",
        broken="    inner join products\n",
        stands_for="products that the catalog lacks are lost",
    ),
    Mutant(
        name="products_without_those_sold",
        file=f"{INTERMEDIATE}/sales/int_sales__products_identified.sql",
        original="    from transactions\n    union",
        broken="    from products\n    union",
        stands_for="sold products that the catalog lacks are lost",
    ),
    Mutant(
        name="products_repeated",
        file=f"{INTERMEDIATE}/sales/int_sales__products_identified.sql",
        original=f"    union distinct\n{OF_PROMOTIONS}",
        broken=f"    union all\n{OF_PROMOTIONS}",
        stands_for="union all for union distinct: lines are multiplied",
    ),
    Mutant(
        name="products_with_a_null",
        file=f"{INTERMEDIATE}/sales/int_sales__products_identified.sql",
        original="    from coupons\n    where product_id is not null\n",
        broken="    from coupons\n",
        stands_for="a coupon without a product makes one",
    ),
    Mutant(
        name="private_label_is_whatever_is_not_national",
        file=f"{MARTS}/sales/dim_products.sql",
        original="coalesce(brand_type = 'Private', false) as is_private_label",
        broken="coalesce(brand_type, '') <> 'National' as is_private_label",
        stands_for="products that the catalog lacks become private label",
    ),
    Mutant(
        name="private_label_can_be_null",
        file=f"{MARTS}/sales/dim_products.sql",
        original="coalesce(brand_type = 'Private', false) as is_private_label",
        broken="brand_type = 'Private' as is_private_label",
        stands_for="products that the catalog lacks are neither private label nor not",
    ),
    Mutant(
        name="brand_is_the_department",
        file=f"{STAGING}/retail_db/stg_retail_db__products.sql",
        original="        brand as brand_type,\n",
        broken="        department as brand_type,\n",
        stands_for="columns are mixed up",
    ),
    Mutant(
        name="category_is_the_type",
        file=f"{MARTS}/sales/dim_products.sql",
        original="coalesce(product_category, 'Unknown')",
        broken="coalesce(product_type, 'Unknown')",
        stands_for="columns are mixed up",
    ),
    Mutant(name="unknown_product_lost", file=f"{MARTS}/sales/dim_products.sql", **UNKNOWN_LOST),
    Mutant(
        name="stores_that_sell_and_promote_only",
        file=f"{INTERMEDIATE}/sales/int_sales__stores_identified.sql",
        original="full outer join promoting",
        broken="inner join promoting",
        stands_for="stores that only sell or only promote are lost",
    ),
    Mutant(
        name="stores_that_sell_only",
        file=f"{INTERMEDIATE}/sales/int_sales__stores_identified.sql",
        original="full outer join promoting",
        broken="left join promoting",
        stands_for="stores that only promote are lost",
    ),
    Mutant(
        name="stores_with_the_unknown_one",
        file=f"{INTERMEDIATE}/sales/int_sales__stores_identified.sql",
        original="where store_id <> {{ unknown_key() }}",
        broken="where store_id is not null",
        stands_for="the unknown store is there twice",
    ),
    Mutant(
        name="stores_with_the_last_sale",
        file=f"{INTERMEDIATE}/sales/int_sales__stores_identified.sql",
        original="min(business_date) as first_sale_date",
        broken="max(business_date) as first_sale_date",
        stands_for="min and max are mixed up",
    ),
    Mutant(name="unknown_store_lost", file=f"{MARTS}/sales/dim_stores.sql", **UNKNOWN_LOST),
)

HOUSEHOLDS = (
    Mutant(
        name="households_that_shop_only",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original="    from identified\n    left join transactions\n",
        broken="    from identified\n    inner join transactions\n",
        stands_for="households that do not shop are lost",
    ),
    Mutant(
        name="households_that_answered_only",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original="    left join demographics\n",
        broken="    inner join demographics\n",
        stands_for="two thirds of the households are lost",
    ),
    Mutant(
        name="households_that_redeem_only_lost",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original="    from redemptions\n    union",
        broken="    from campaigns\n    union",
        stands_for="redemptions refer to no household",
    ),
    Mutant(
        name="households_with_a_null",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original="    where household_id is not null\n",
        broken="",
        stands_for="lines without a household make one",
    ),
    Mutant(
        name="households_once_a_line",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original=(
            "select distinct\n        household_id,\n        source_system\n"
            "    from {{ ref('int_shared__sales_lines_unioned') }}"
        ),
        broken=(
            "select\n        household_id,\n        source_system\n"
            "    from {{ ref('int_shared__sales_lines_unioned') }}"
        ),
        stands_for="distinct is dropped",
    ),
    Mutant(
        name="income_is_the_age",
        file=f"{STAGING}/retail_db/stg_retail_db__demographics.sql",
        original="income as income_band",
        broken="age as income_band",
        stands_for="columns are mixed up",
    ),
    Mutant(
        name="home_ownership_can_be_null",
        file=f"{MARTS}/customers/dim_households.sql",
        original="coalesce(home_ownership, 'Unknown') as home_ownership",
        broken="home_ownership",
        stands_for="households without an answer fall out of groups",
    ),
    Mutant(
        name="bands_in_the_order_of_their_names",
        file="seeds/income_bands.csv",
        original="Under 15K,1\n15-24K,2\n",
        broken="15-24K,1\nUnder 15K,2\n",
        stands_for="the lowest band is not the first",
    ),
    Mutant(
        name="bands_swapped",
        file="seeds/age_bands.csv",
        original="25-34,2\n35-44,3\n",
        broken="25-34,3\n35-44,2\n",
        stands_for="age bands are out of order",
    ),
    Mutant(
        name="bands_without_unknown",
        file="seeds/income_bands.csv",
        original="Unknown,99\n",
        broken="",
        stands_for="households without an answer have no order",
    ),
    Mutant(
        name="bands_of_the_other_kind",
        file=f"{MARTS}/customers/dim_households.sql",
        original="age_bands.band_order as age_band_order",
        broken="income_bands.band_order as age_band_order",
        stands_for="columns are mixed up",
    ),
    Mutant(
        name="unknown_household_lost",
        file=f"{MARTS}/customers/dim_households.sql",
        **UNKNOWN_LOST,
    ),
)

HOUSEHOLD_MONTHS = (
    Mutant(
        name="cohort of any month",
        file=f"{MARTS}/customers/fct_cohort_months.sql",
        original="min(month_start_date) as cohort_month_start_date",
        broken="max(month_start_date) as cohort_month_start_date",
        stands_for="the cohort is of the latest month, not of the first purchase",
    ),
    Mutant(
        name="whoever was ever there is active",
        file=f"{MARTS}/customers/fct_cohort_months.sql",
        original="count(case when is_active then 1 end)",
        broken="count(is_active)",
        stands_for="a flag is counted where it is false, too",
    ),
    Mutant(
        name="months backwards",
        file=f"{MARTS}/customers/fct_cohort_months.sql",
        original="months_between('cohort_month_start_date', 'month_start_date')",
        broken="months_between('month_start_date', 'cohort_month_start_date')",
        stands_for="arguments of datediff in the wrong order",
    ),
    Mutant(
        name="campaigns without targets are lost",
        file=f"{MARTS}/marketing/fct_campaign_results.sql",
        original="left join campaign_households",
        broken="inner join campaign_households",
        stands_for="an inner join drops what has no match",
    ),
    Mutant(
        name="one row counts for nobody",
        file=f"{MARTS}/marketing/fct_campaign_results.sql",
        original="count(campaign_households.household_id) as targeted",
        broken="count(*) as targeted",
        stands_for="the row of a left join without a match is counted",
    ),
    Mutant(
        name="targeted is redeeming",
        file=f"{MARTS}/marketing/fct_campaign_results.sql",
        original="count(case when campaign_households.has_redeemed then 1 end)",
        broken="count(campaign_households.has_redeemed)",
        stands_for="a flag is counted where it is false, too",
    ),
    Mutant(
        name="results of the unknown campaign",
        file=f"{MARTS}/marketing/fct_campaign_results.sql",
        original="    where not is_unknown\n",
        broken="",
        stands_for="the unknown member is reported as a campaign",
    ),
    Mutant(
        name="months_without_the_inactive_ones",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="    left join monthly\n",
        broken="    inner join monthly\n",
        stands_for="households that stay away are not seen to do so",
    ),
    Mutant(
        name="months_of_the_unknown_household",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="    where household_id <> {{ unknown_key() }}\n",
        broken="",
        stands_for="sales of no known household look like one that always comes back",
    ),
    Mutant(
        name="months_after_the_first_only",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="first_purchases.first_purchase_date <= months.month_end_date",
        broken="first_purchases.first_purchase_date <= months.month_start_date",
        stands_for="the month of the first purchase is lost",
    ),
    Mutant(
        name="months_from_the_start_of_the_calendar",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="first_purchases.first_purchase_date <= months.month_end_date",
        broken="first_purchases.first_purchase_date <= latest.latest_business_date",
        stands_for="households are away before they are new",
    ),
    Mutant(
        name="months_that_are_over_only",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="and latest.latest_business_date >= months.month_start_date",
        broken="and latest.latest_business_date >= months.month_end_date",
        stands_for="the month that is not over is lost",
    ),
    Mutant(
        name="months_until_the_end_of_the_calendar",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="and latest.latest_business_date >= months.month_start_date",
        broken="and not months.month_start_date is null",
        stands_for="households are away in months to come",
    ),
    Mutant(
        name="months_end_after_the_data",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="least(months.month_end_date, latest.latest_business_date) as",
        broken="months.month_end_date as",
        stands_for="days that nobody has seen yet count as days away",
    ),
    Mutant(
        name="months_seen_until_the_last_known_household",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="as latest_business_date\n    from all_baskets\n",
        broken="as latest_business_date\n    from baskets\n",
        stands_for="sales of no known household do not show how far the data goes",
    ),
    Mutant(
        name="retained_without_last_month",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="lag(visit_count) over (partition by household_id order by month_start_date), 0",
        broken="visit_count, 0",
        stands_for="every active household is retained",
    ),
    Mutant(
        name="retained_by_the_month_before_the_last",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="lag(visit_count) over (",
        broken="lag(visit_count, 2) over (",
        stands_for="the wrong month is compared",
    ),
    Mutant(
        name="retained_by_another_household",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="over (partition by household_id order by month_start_date)",
        broken="over (order by household_id, month_start_date)",
        stands_for="the partition is dropped",
    ),
    Mutant(
        name="retained_after_any_month",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original=") > 0 as is_retained",
        broken=") >= 0 as is_retained",
        stands_for=">= for >: households that were away count as retained",
    ),
    Mutant(
        name="new_in_the_month_of_the_last_visit",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="dbt.date_trunc('month', 'first_purchase_date')",
        broken="dbt.date_trunc('month', 'last_visit_date')",
        stands_for="every active household is new",
    ),
    Mutant(
        name="active_without_visits",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="visit_count > 0 as is_active",
        broken="visit_count >= 0 as is_active",
        stands_for=">= for >: every household is active",
    ),
    Mutant(
        name="active_by_sales",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="visit_count > 0 as is_active",
        broken="net_sales_usd > 0 as is_active",
        stands_for="households that only got giveaways are not active",
    ),
    Mutant(
        name="visits_counted_by_day",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="count(*) as visit_count",
        broken="count(distinct business_date) as visit_count",
        stands_for="two baskets of one day count once",
    ),
    Mutant(
        name="last_visit_in_the_future",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="rows between unbounded preceding and current row",
        broken="rows between unbounded preceding and unbounded following",
        stands_for="a month knows of later visits",
    ),
    Mutant(
        name="last_visit_of_this_month_only",
        file=f"{MARTS}/customers/fct_household_months.sql",
        original="rows between unbounded preceding and current row",
        broken="rows between current row and current row",
        stands_for="months without a visit have no last visit",
    ),
)

CAMPAIGNS_AND_COUPONS = (
    Mutant(
        name="campaign_without_its_last_day",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaigns_dated.sql",
        original=" + 1 as duration_days",
        broken=" as duration_days",
        stands_for="campaigns are a day too short",
    ),
    Mutant(
        name="campaign_starts_at_its_end",
        file=f"{STAGING}/retail_db/stg_retail_db__campaign_descriptions.sql",
        original="cast(start_date as date)",
        broken="cast(end_date as date)",
        stands_for="columns are swapped",
    ),
    Mutant(
        name="unknown_campaign_lost", file=f"{MARTS}/marketing/dim_campaigns.sql", **UNKNOWN_LOST
    ),
    Mutant(
        name="coupon_duplicates_kept",
        file=f"{INTERMEDIATE}/marketing/int_marketing__coupon_products_deduplicated.sql",
        original="    select distinct\n",
        broken="    select\n",
        stands_for="products of a coupon are counted twice",
    ),
    Mutant(
        name="coupons_without_campaign",
        file=f"{INTERMEDIATE}/marketing/int_marketing__coupons_identified.sql",
        original="            and identified.campaign_id = products.campaign_id\n",
        broken="",
        stands_for="the code alone is taken for the coupon",
    ),
    Mutant(
        name="coupons_repeated",
        file=f"{INTERMEDIATE}/marketing/int_marketing__coupons_identified.sql",
        original="    union distinct\n",
        broken="    union all\n",
        stands_for="union all for union distinct",
    ),
    Mutant(
        name="coupons_that_are_issued_only",
        file=f"{INTERMEDIATE}/marketing/int_marketing__coupons_identified.sql",
        original="    left join products\n",
        broken="    inner join products\n",
        stands_for="coupons that were redeemed without being issued are lost",
    ),
    Mutant(name="unknown_coupon_lost", file=f"{MARTS}/marketing/dim_coupons.sql", **UNKNOWN_LOST),
    Mutant(
        name="targeted_households_that_redeem_only",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaign_households_redeemed.sql",
        original="    left join redeemed\n",
        broken="    inner join redeemed\n",
        stands_for="every targeted household has redeemed",
    ),
    Mutant(
        name="redemptions_of_untargeted_households",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaign_households_redeemed.sql",
        original="    left join redeemed\n",
        broken="    full outer join redeemed\n",
        stands_for="households that were not targeted get a row",
    ),
    Mutant(
        name="redemptions_in_any_campaign",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaign_households_redeemed.sql",
        original="            targeted.campaign_id = redeemed.campaign_id\n            and ",
        broken="            ",
        stands_for="redemptions in other campaigns count, and multiply rows",
    ),
    Mutant(
        name="redemptions_counted_by_coupon",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaign_households_redeemed.sql",
        original="count(*) as redemption_count",
        broken="count(distinct coupon_upc) as redemption_count",
        stands_for="a coupon that is redeemed twice counts once",
    ),
    Mutant(
        name="redemptions_of_a_coupon_on_its_first_day_only",
        file=f"{MARTS}/marketing/fct_coupon_redemptions.sql",
        original="        redemption_date,\n        business_week\n    from redemptions\n",
        broken=(
            "        min(redemption_date) as redemption_date,\n"
            "        min(business_week) as business_week\n"
            "    from redemptions\n"
            "    group by household_id, source_system, coupon_upc, campaign_id\n"
        ),
        stands_for="a coupon that is redeemed twice counts once",
    ),
    Mutant(
        name="targeted_households_without_redemption_left_out",
        file=f"{MARTS}/marketing/fct_campaign_households.sql",
        original="    from campaign_households\n",
        broken="    from campaign_households\n    where has_redeemed\n",
        stands_for="every targeted household has redeemed",
    ),
    Mutant(
        name="coupon_with_one_product",
        file=f"{MARTS}/marketing/bridge_coupon_products.sql",
        original="        product_id,\n        source_system\n    from coupon_products\n",
        broken=(
            "        min(product_id) as product_id,\n"
            "        source_system\n"
            "    from coupon_products\n"
            "    group by coupon_upc, campaign_id, source_system\n"
        ),
        stands_for="the bridge is taken for a dimension",
    ),
    Mutant(
        name="redemptions_last_for_first",
        file=f"{INTERMEDIATE}/marketing/int_marketing__campaign_households_redeemed.sql",
        original="min(redemption_date) as first_redemption_date",
        broken="max(redemption_date) as first_redemption_date",
        stands_for="min and max are mixed up",
    ),
)

CALENDAR = (
    Mutant(
        name="days_between_backwards",
        file="macros/days_between.sql",
        original="dbt.datediff(first_date, second_date,",
        broken="dbt.datediff(second_date, first_date,",
        stands_for="first and second date are swapped",
        select="int_marketing__campaigns_dated fct_household_months dim_dates",
    ),
    Mutant(
        name="calendar_of_sales_only",
        file=f"{INTERMEDIATE}/shared/int_shared__calendar_bounded.sql",
        original="        max(end_date) as last_date\n",
        broken="        max(start_date) as last_date\n",
        stands_for="campaigns end after the calendar",
    ),
    Mutant(
        name="calendar_begins_within_a_year",
        file=f"{INTERMEDIATE}/shared/int_shared__calendar_bounded.sql",
        original="{{ dbt.date_trunc('year', 'min(first_date)') }}",
        broken="min(first_date)",
        stands_for="the first year is not whole",
    ),
    Mutant(
        name="calendar_without_its_last_day",
        file=f"{MARTS}/shared/dim_dates.sql",
        original="'bounds.last_day') }} + 1",
        broken="'bounds.last_day') }}",
        stands_for="the year's last day is lost",
    ),
    Mutant(
        name="calendar_without_its_first_day",
        file=f"{MARTS}/shared/dim_dates.sql",
        original="'days.generated_number - 1'",
        broken="'days.generated_number'",
        stands_for="every date is a day late",
    ),
    Mutant(
        name="calendar_of_one_year",
        file=f"{MARTS}/shared/dim_dates.sql",
        original="dbt.generate_series(36525)",
        broken="dbt.generate_series(365)",
        stands_for="dates of other years are not in the calendar",
    ),
    Mutant(
        name="weekend_without_saturday",
        file=f"{MARTS}/shared/dim_dates.sql",
        original="iso_day_of_week >= 6 as is_weekend",
        broken="iso_day_of_week > 6 as is_weekend",
        stands_for="> for >=",
    ),
    Mutant(
        name="weekdays_count_from_0",
        file=f"{MARTS}/shared/dim_dates.sql",
        original=" + 1 as iso_day_of_week",
        broken=" as iso_day_of_week",
        stands_for="days of the week are off by one",
    ),
    Mutant(name="unknown_date_lost", file=f"{MARTS}/shared/dim_dates.sql", **UNKNOWN_LOST),
    Mutant(
        name="calendar_without_a_number_in_may",
        file=f"{MARTS}/shared/dim_dates.sql",
        original="cast(extract(month from business_date) as integer) as month_of_year",
        broken="nullif(cast(extract(month from business_date) as integer), 5) as month_of_year",
        stands_for="a null is in every range",
    ),
)

SNAPSHOTS = (
    Mutant(
        name="snapshot_of_products_without_the_brand",
        file="snapshots/snap_products.sql",
        original="                'brand_type',\n",
        broken="",
        stands_for="changes of an attribute are not kept",
        select="stg_retail_db__products+",
        snapshots_behind=True,
    ),
    Mutant(
        name="snapshot_of_products_without_those_that_left",
        file="snapshots/snap_products.sql",
        original="hard_deletes='new_record'",
        broken="hard_deletes='ignore'",
        stands_for="a product that leaves the catalog stays in it for ever",
        select="stg_retail_db__products+",
        snapshots_behind=True,
    ),
    Mutant(
        name="snapshot_that_takes_nothing_for_deleted",
        file="macros/systems_not_built.sql",
        original="\n        and not {{ is_of_a_built_system() }}",
        broken="",
        stands_for="what the snapshot has is never taken for deleted",
        select="stg_retail_db__products+",
        snapshots_behind=True,
    ),
    Mutant(
        name="snapshot_of_households_without_the_income",
        file="snapshots/snap_households.sql",
        original="                'income_band',\n",
        broken="",
        stands_for="changes of an answer are not kept",
        select="stg_retail_db__demographics+",
        snapshots_behind=True,
    ),
    Mutant(
        name="snapshot_of_households_without_those_that_left",
        file="snapshots/snap_households.sql",
        original="hard_deletes='new_record'",
        broken="hard_deletes='ignore'",
        stands_for="answers that were withdrawn stay for ever",
        select="stg_retail_db__demographics+",
        snapshots_behind=True,
    ),
)

PERIODS = "int_kpis__retention_measured+ int_kpis__periods_bounded+ int_kpis__sales_compared+"
KPIS = (
    Mutant(
        name="kpi_baskets_counted_by_line",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="count(distinct basket_id)",
        broken="count(basket_id)",
        stands_for="every line is taken for a visit",
    ),
    Mutant(
        name="kpi_households_counted_by_line",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="count(distinct household_id) as active",
        broken="count(household_id) as active",
        stands_for="every line is taken for a household",
    ),
    Mutant(
        name="kpi_new_households_after_the_first_day",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="first_purchase_date >= {{ period }}",
        broken="first_purchase_date > {{ period }}",
        stands_for="newcomers of the first day are lost",
    ),
    Mutant(
        name="kpi_new_households_by_department",
        file=f"{KPI_STEPS}/int_kpis__lines_attributed.sql",
        original="        first_purchases.first_purchase_date,\n",
        broken=(
            "        min(lines.business_date) over (\n"
            "            partition by lines.household_id, products.department\n"
            "        ) as first_purchase_date,\n"
        ),
        stands_for="a regular is new in every department",
    ),
    Mutant(
        name="kpi_unknown_household_counts",
        file=f"{KPI_STEPS}/int_kpis__lines_attributed.sql",
        original="        first_purchases.household_id\n",
        broken="        lines.household_id\n",
        stands_for="nobody is counted as somebody",
    ),
    Mutant(
        name="kpi_discount_without_coupon_match",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="sum(loyalty_discount_usd + coupon_match_discount_usd)",
        broken="sum(loyalty_discount_usd)",
        stands_for="a discount of the retailer is left out",
    ),
    Mutant(
        name="kpi_private_label_at_shelf_price",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="when is_private_label then net_sales_usd",
        broken="when is_private_label then gross_sales_usd",
        stands_for="gross over net sales",
    ),
    Mutant(
        name="kpi_promoted_lines_all",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="case when is_promoted then net_sales_usd else 0 end",
        broken="net_sales_usd",
        stands_for="the condition is lost",
    ),
    Mutant(
        name="kpi_lines_without_discount_count",
        file=f"{KPI_STEPS}/int_kpis__sales_measured.sql",
        original="loyalty_discount_usd > 0",
        broken="loyalty_discount_usd >= 0",
        stands_for="every line has a loyalty discount",
    ),
    Mutant(
        name="kpi_retention_of_a_period_that_has_not_begun",
        file=f"{KPI_STEPS}/int_kpis__retention_measured.sql",
        original="and expected.period_start_date <= observed.last_business_date\n",
        broken="\n",
        stands_for="nobody came back to a period that is not there yet",
    ),
    Mutant(
        name="kpi_retention_after_a_period_cut_short",
        file=f"{KPI_STEPS}/int_kpis__retention_measured.sql",
        original="expected.previous_period_start_date >= observed.first_business_date\n",
        broken="true\n",
        stands_for="who shopped on one Sunday is measured as a week's households",
    ),
    Mutant(
        name="kpi_promotions_a_day_late",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="bounded.period_end_date < promoted.next_week_start_date",
        broken="bounded.period_start_date < promoted.next_week_start_date",
        stands_for="a period is complete with the first of its promotions",
    ),
    Mutant(
        name="kpi_promotions_of_an_empty_feed",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="promoted.next_week_start_date, false) as",
        broken="promoted.next_week_start_date, true) as",
        stands_for="nothing is taken for everything",
    ),
    Mutant(
        name="kpi_share_without_its_promotions",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="periods.has_promotions\n            or",
        broken="true\n            or",
        stands_for="a feed that is late looks like few promotions",
    ),
    Mutant(
        name="kpi_that_never_occurred_is_missing",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="'all' as slice,",
        broken="'none' as slice,",
        stands_for="no redemption at all is no row at all",
    ),
    Mutant(
        name="kpi_retention_of_nobody",
        file=f"{KPI_STEPS}/int_kpis__retention_measured.sql",
        original="where household_id is not null",
        broken="where true",
        stands_for="sales of no known household never come back",
    ),
    Mutant(
        name="kpi_retention_ever_after",
        file=f"{KPI_STEPS}/int_kpis__retention_measured.sql",
        original="and expected.period_start_date = active.period_start_date",
        broken="and expected.period_start_date <= active.period_start_date",
        stands_for="whoever comes back later is retained",
    ),
    Mutant(
        name="kpi_retention_of_those_who_came_back",
        file=f"{KPI_STEPS}/int_kpis__retention_measured.sql",
        original="    left join active\n",
        broken="    inner join active\n",
        stands_for="the rate is divided by those who came back",
    ),
    Mutant(
        name="kpi_month_of_30_days",
        file="macros/kpis.sql",
        original="dbt.dateadd('month', 1, period",
        broken="dbt.dateadd('day', 30, period",
        stands_for="months have 30 days",
        select=PERIODS,
    ),
    Mutant(
        name="kpi_week_of_six_days",
        file="macros/kpis.sql",
        original="dbt.dateadd('day', 7, period",
        broken="dbt.dateadd('day', 6, period",
        stands_for="weeks end on Saturday",
        select=PERIODS,
    ),
    Mutant(
        name="kpi_month_is_a_week",
        file="macros/kpis.sql",
        original="'month': 'month_start_date'",
        broken="'month': 'week_start_date'",
        stands_for="another column of the calendar",
        select=PERIODS,
    ),
    Mutant(
        name="kpi_redeeming_households_by_coupon",
        file=f"{KPI_STEPS}/int_kpis__redemptions_measured.sql",
        original="count(distinct household_id)",
        broken="count(household_id)",
        stands_for="every coupon is taken for a household",
    ),
    Mutant(
        name="kpi_campaign_always_runs",
        file=f"{KPI_STEPS}/int_kpis__targets_measured.sql",
        original="                and campaigns.end_date",
        broken="                or campaigns.end_date",
        stands_for="or for and",
    ),
    Mutant(
        name="kpi_campaign_runs_on_its_first_day",
        file=f"{KPI_STEPS}/int_kpis__targets_measured.sql",
        original="campaigns.start_date <= dates",
        broken="campaigns.start_date = dates",
        stands_for="= for <=",
    ),
    Mutant(
        name="kpi_redemption_of_any_campaign",
        file=f"{KPI_STEPS}/int_kpis__targets_measured.sql",
        original="            and running.campaign_id = redeemed.campaign_id\n",
        broken="",
        stands_for="a household that redeems anything counts in all its campaigns",
    ),
    Mutant(
        name="kpi_redemption_of_any_period",
        file=f"{KPI_STEPS}/int_kpis__targets_measured.sql",
        original="            and running.period_start_date = redeemed.period_start_date\n",
        broken="",
        stands_for="who redeems once redeems for ever",
    ),
    Mutant(
        name="kpi_redeeming_targets_all",
        file=f"{KPI_STEPS}/int_kpis__targets_measured.sql",
        original="count(case when has_redeemed then 1 end)",
        broken="count(has_redeemed)",
        stands_for="false is counted",
    ),
    Mutant(
        name="kpi_partial_first_period_complete",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="bounded.period_start_date >= observed.first_date",
        broken="bounded.period_end_date >= observed.first_date",
        stands_for="the first week is compared with whole ones",
    ),
    Mutant(
        name="kpi_partial_last_period_complete",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="and bounded.period_end_date <= observed",
        broken="and bounded.period_start_date <= observed",
        stands_for="the current month looks like a slump",
    ),
    Mutant(
        name="kpi_open_day_complete",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="sold.last_date >= counted",
        broken="sold.last_date > counted",
        stands_for="a day that is not over looks like a slump",
    ),
    Mutant(
        name="kpi_days_counted_by_another_table",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="min(counted_at)",
        broken="max(counted_at)",
        stands_for="a later load of one table closes the days of all",
    ),
    Mutant(
        name="kpi_days_counted_in_any_load",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="        max(counted_at)",
        broken="        min(counted_at)",
        stands_for="days are open for ever",
    ),
    Mutant(
        name="kpi_counted_at_with_a_time_zone",
        file=f"{STAGING}/retail_db/stg_retail_db__load_control_totals.sql",
        original="{{ utc_timestamp('counted_at') }}",
        broken="counted_at",
        stands_for="the time zone of dlt turns business time the other way",
    ),
    Mutant(
        name="kpi_first_period_lost",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="            bounded.period_end_date >= observed.first_date\n",
        broken="            bounded.period_start_date >= observed.first_date\n",
        stands_for="sales before the first Monday are nowhere",
    ),
    Mutant(
        name="kpi_latest_period_lost",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original="and bounded.period_start_date <= observed.last_date",
        broken="and bounded.period_end_date < observed.last_date",
        stands_for="the latest period is nowhere",
    ),
    Mutant(
        name="kpi_periods_without_anything_lost",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="left join measures as numerators",
        broken="inner join measures as numerators",
        stands_for="a department without sales vanishes in place of 0",
    ),
    Mutant(
        name="kpi_ratio_of_nothing_is_0",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="{{ kpi_ratio('numerator', 'denominator') }}",
        broken="coalesce({{ kpi_ratio('numerator', 'denominator') }}, 0)",
        stands_for="no basket at all is a basket value of 0",
    ),
    Mutant(
        name="kpi_before_it_is_valid",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="            and series.valid_from <= periods.period_start_date\n",
        broken="",
        stands_for="figures that the catalog withholds are published",
    ),
    Mutant(
        name="kpi_numerator_of_any_slice",
        file=f"{KPI_STEPS}/int_kpis__values_computed.sql",
        original="            and series.slice = numerators.slice\n",
        broken="",
        stands_for="'Unknown' of a department and of an income band are mixed up",
    ),
    Mutant(
        name="kpi_upside_down",
        file="macros/kpis.sql",
        original="cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)",
        broken="cast({{ denominator }} as double) / nullif(cast({{ numerator }} as double), 0)",
        stands_for="numerator and denominator are swapped",
        select="int_kpis__values_computed+",
    ),
    Mutant(
        name="kpi_in_whole_numbers",
        file="macros/kpis.sql",
        original="        as decimal(28, 6)\n",
        broken="        as decimal(28, 0)\n",
        stands_for="rates are 0 or 1",
        select="int_kpis__values_computed+",
    ),
    Mutant(
        name="kpi_upper_limit_too_far",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="limits.baseline_mean + 2.66 *",
        broken="limits.baseline_mean + 3 *",
        stands_for="three mean ranges are taken for three sigma",
    ),
    Mutant(
        name="kpi_lower_limit_too_near",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="limits.baseline_mean - 2.66 *",
        broken="limits.baseline_mean - 2.0 *",
        stands_for="noise becomes a signal",
    ),
    Mutant(
        name="kpi_limits_with_later_points",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original=(
            "        count(*) as baseline_periods,\n"
            "        sum(kpi_value) as value_sum,\n"
            "        sum(moving_range) as moving_range_sum\n"
            "    from ranged\n"
            "    where is_in_baseline\n"
        ),
        broken=(
            "        count(case when is_in_baseline then 1 end) as baseline_periods,\n"
            "        sum(case when is_in_baseline then kpi_value end) as value_sum,\n"
            "        sum(moving_range) as moving_range_sum\n"
            "    from ranged\n"
        ),
        stands_for="what has changed moves the limits that should tell of it",
    ),
    Mutant(
        name="kpi_limits_before_the_baseline_is_whole",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="        and baseline_periods = case",
        broken="        and baseline_periods <= case",
        stands_for="limits of two points",
    ),
    Mutant(
        name="kpi_limits_where_nothing_moved",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="moving_range_sum > 0",
        broken="moving_range_sum >= 0",
        stands_for="a cent is a signal",
    ),
    Mutant(
        name="kpi_mean_range_of_all_points",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="'baseline_periods - 1'",
        broken="'baseline_periods'",
        stands_for="there is one range less than points",
    ),
    Mutant(
        name="kpi_first_range_from_before_the_baseline",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="case when period_number > 1 then",
        broken="case when period_number >= 1 then",
        stands_for="the jump into the baseline widens its limits",
    ),
    Mutant(
        name="kpi_judged_by_a_later_baseline",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="            and ranged.period_number > 0\n",
        broken="",
        stands_for="what the catalog calls not comparable is compared",
    ),
    Mutant(
        name="kpi_limits_of_partial_periods",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original=("        is_complete_period\n        and kpi_value is not null\n"),
        broken="        kpi_value is not null\n",
        stands_for="a partial week is a signal",
    ),
    Mutant(
        name="kpi_signal_on_the_upper_limit",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="kpi_value > upper_limit",
        broken="kpi_value >= upper_limit",
        stands_for=">= for >",
    ),
    Mutant(
        name="kpi_signal_on_the_lower_limit",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="kpi_value < lower_limit",
        broken="kpi_value <= lower_limit",
        stands_for="<= for <",
    ),
    Mutant(
        name="kpi_signal_of_seven_of_eight",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="side_sum = 8",
        broken="side_sum >= 7",
        stands_for="seven for eight in a row",
    ),
    Mutant(
        name="kpi_signal_of_nine",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="rows between 7 preceding",
        broken="rows between 8 preceding",
        stands_for="nine periods for eight",
    ),
    Mutant(
        name="kpi_mean_is_a_side",
        file=f"{KPI_STEPS}/int_kpis__values_limited.sql",
        original="ranged.kpi_value > limits.baseline_mean then 1",
        broken="ranged.kpi_value >= limits.baseline_mean then 1",
        stands_for="a point on the mean goes on with the row",
    ),
    Mutant(
        name="kpi_partial_period_compared",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original=(
            "                is_complete_period\n                and lag(is_complete_period)"
        ),
        broken="                lag(is_complete_period)",
        stands_for="the current week falls every Monday",
    ),
    Mutant(
        name="kpi_compared_with_a_partial_period",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original=(
            "                is_complete_period\n"
            "                and lag(is_complete_period) over (\n"
            "                    partition by kpi_id, grain, slice, slice_value\n"
            "                    order by period_start_date\n"
            "                )\n"
        ),
        broken="                is_complete_period\n",
        stands_for="the second week always rises",
    ),
    Mutant(
        name="kpi_change_of_this_value",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="'abs(previous_value)'",
        broken="'abs(kpi_value)'",
        stands_for="the change is divided by the wrong one of the two",
    ),
    Mutant(
        name="kpi_trailing_mean_of_rates",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="{{ kpi_ratio('trailing_numerator', 'trailing_denominator') }}",
        broken=(
            "cast(avg(kpi_value) over (\n"
            "                    partition by kpi_id, grain, slice, slice_value\n"
            "                    order by period_start_date\n"
            "                    rows between 1 preceding and current row\n"
            "                ) as decimal(28, 6))"
        ),
        stands_for="rates are averaged",
    ),
    Mutant(
        name="kpi_trailing_mean_before_there_are_enough",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="            when trailing_periods < periods_to_average then null\n",
        broken="",
        stands_for="a mean of one period",
    ),
    Mutant(
        name="kpi_tolerance_the_wrong_way_up",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="targets.target * (1 - targets",
        broken="targets.target * (1 + targets",
        stands_for="who reaches the target misses it",
    ),
    Mutant(
        name="kpi_tolerance_the_wrong_way_down",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="<= targets.target * (1 + targets",
        broken="<= targets.target * (1 - targets",
        stands_for="who reaches the target misses it",
    ),
    Mutant(
        name="kpi_tolerance_missed_exactly",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="averaged.kpi_value >= targets.target",
        broken="averaged.kpi_value > targets.target",
        stands_for="> for >=",
    ),
    Mutant(
        name="kpi_target_of_slices",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="            and averaged.slice = 'all'\n",
        broken="",
        stands_for="every store misses the target of the whole",
    ),
    Mutant(
        name="kpi_target_beyond_its_span",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="averaged.period_end_date <= targets.valid_to",
        broken="averaged.period_start_date <= targets.valid_to",
        stands_for="a week across New Year has last years target",
    ),
    Mutant(
        name="kpi_direction_swapped",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="(good_direction = 'up') = (signal",
        broken="(good_direction = 'up') <> (signal",
        stands_for="good news is bad news",
    ),
    Mutant(
        name="kpi_signal_hides_a_missed_target",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="when not is_on_target then",
        broken="when not is_on_target and signal_rule is null then",
        stands_for="an improvement that is not enough looks well",
    ),
    Mutant(
        name="kpi_partial_period_judged",
        file=f"{KPI_MARTS}/kpi_values.sql",
        original="            when not is_complete_period then 'incomplete'\n",
        broken="",
        stands_for="a partial week is stable",
    ),
    Mutant(
        name="kpi_drivers_by_the_arithmetic_mean",
        file=f"{KPI_MARTS}/kpi_drivers.sql",
        original="when net_sales_usd = previous_net_sales_usd then cast(net_sales_usd as double)",
        broken="when true then cast(net_sales_usd + previous_net_sales_usd as double) / 2",
        stands_for="the mean of the two is taken for the log mean",
    ),
    Mutant(
        name="kpi_visits_with_households",
        file=f"{KPI_MARTS}/kpi_drivers.sql",
        original="log_mean * (log_baskets - log_households)",
        broken="log_mean * log_baskets",
        stands_for="households are counted in visits, too",
    ),
    Mutant(
        name="kpi_remainder_dropped",
        file=f"{KPI_MARTS}/kpi_drivers.sql",
        original="change_usd - households_usd - visits_usd - basket_value_usd as remainder_usd",
        broken="0 as remainder_usd",
        stands_for="contributions miss the change by a cent",
    ),
    Mutant(
        name="kpi_department_contributes_its_sales",
        file=f"{KPI_MARTS}/kpi_drivers.sql",
        original="parts.net_sales_usd - parts.previous_net_sales_usd as contribution",
        broken="parts.net_sales_usd as contribution",
        stands_for="the period before is forgotten",
    ),
    Mutant(
        name="kpi_changes_to_nothing_lost",
        file=f"{KPI_MARTS}/kpi_drivers.sql",
        original="        and logged.grain is null\n",
        broken=("        and logged.grain is null\n        and compared.net_sales_usd > 0\n"),
        stands_for="a closed day has no explanation",
    ),
    Mutant(
        name="kpi_department_that_vanished_lost",
        file=f"{KPI_STEPS}/int_kpis__sales_compared.sql",
        original="    left join measures\n",
        broken="    inner join measures\n",
        stands_for="a department that sells nothing took nothing with it",
    ),
    Mutant(
        name="kpi_department_called_all_taken_for_the_whole",
        file=f"{KPI_STEPS}/int_kpis__sales_compared.sql",
        original="            and spined.slice = measures.slice\n",
        broken="",
        stands_for="a department may have any name",
    ),
    Mutant(
        name="kpi_drivers_of_partial_periods",
        file=f"{KPI_STEPS}/int_kpis__sales_compared.sql",
        original="        periods.is_complete_period\n        and ",
        broken="        ",
        stands_for="the first week is compared with whole ones",
    ),
    Mutant(
        name="kpi_drivers_before_the_catalog_publishes_net_sales",
        file=f"{KPI_STEPS}/int_kpis__sales_compared.sql",
        original="            periods.period_start_date >= catalog.valid_from\n            and ",
        broken="            ",
        stands_for="a change is explained that is no figure",
    ),
    Mutant(
        name="kpi_drivers_of_grains_that_are_not_published",
        file=f"{KPI_STEPS}/int_kpis__sales_compared.sql",
        original="\"'% all/'\", 'periods.grain', \"' %'\"",
        broken="\"'%'\"",
        stands_for="a change is explained that is no figure",
    ),
    Mutant(
        name="kpi_alerts_of_the_current_period",
        file=f"{KPI_MARTS}/kpi_alerts.sql",
        original="    where is_complete_period\n",
        broken="",
        stands_for="there are alerts of a week only when it is over",
    ),
    Mutant(
        name="kpi_alerts_of_any_period",
        file=f"{KPI_MARTS}/kpi_alerts.sql",
        original="            and kpi_figures.period_start_date = latest.period_start_date\n",
        broken="",
        stands_for="old news",
    ),
    Mutant(
        name="kpi_alerts_of_slices",
        file=f"{KPI_MARTS}/kpi_alerts.sql",
        original=("        kpi_figures.slice = 'all'\n        and kpi_figures.status"),
        broken="        kpi_figures.status",
        stands_for="every department alerts",
    ),
    Mutant(
        name="kpi_severity_without_a_direction",
        file=f"{KPI_MARTS}/kpi_alerts.sql",
        original="and catalog.good_direction = 'down'",
        broken="and catalog.good_direction <> 'up'",
        stands_for="a KPI without a good way cannot go the bad way",
    ),
    Mutant(
        name="kpi_retention_divided_by_this_period",
        file="seeds/kpi_catalog.csv",
        original="retained_household_count,previous_active_household_count",
        broken="retained_household_count,active_household_count",
        stands_for="newcomers lower the retention",
    ),
    Mutant(
        name="kpi_discount_rate_of_net_sales",
        file="seeds/kpi_catalog.csv",
        original="retailer_discount_usd,gross_sales_usd",
        broken="retailer_discount_usd,net_sales_usd",
        stands_for="the rate is of what is left",
    ),
    Mutant(
        name="kpi_share_upside_down",
        file="seeds/kpi_catalog.csv",
        original="private_label_net_sales_usd,net_sales_usd",
        broken="net_sales_usd,private_label_net_sales_usd",
        stands_for="numerator and denominator are swapped",
    ),
    Mutant(
        name="kpi_redemption_rate_upside_down",
        file="seeds/kpi_catalog.csv",
        original="redeeming_target_count,running_target_count",
        broken="running_target_count,redeeming_target_count",
        stands_for="numerator and denominator are swapped",
    ),
    Mutant(
        name="audit_without_numerators",
        file="models/audit/audit_kpis.sql",
        original="reported_numerator is distinct from recomputed_numerator",
        broken="false",
        stands_for="2 of 3 is 1 of 3",
    ),
    Mutant(
        name="audit_without_denominators",
        file="models/audit/audit_kpis.sql",
        original="reported_denominator is distinct from recomputed_denominator",
        broken="false",
        stands_for="a sum is taken for a ratio",
    ),
    Mutant(
        name="audit_without_values",
        file="models/audit/audit_kpis.sql",
        original="reported_value is distinct from recomputed_value",
        broken="false",
        stands_for="the figure that people read is not audited",
    ),
    Mutant(
        name="audit_loses_figures",
        file="models/audit/audit_kpis.sql",
        original="    left join reported\n",
        broken="    inner join reported\n",
        stands_for="a figure that is not there is no difference",
    ),
    Mutant(
        name="audit_of_what_is_reported",
        file="models/audit/audit_kpis.sql",
        original=("    from measures\n    where measure_id = 'net_sales_usd'\n"),
        broken="    from reported\n",
        stands_for="kpi_values says itself where it ends",
    ),
    Mutant(
        name="audit_with_dates_in_utc",
        file="models/audit/retail_db/audit_retail_db__lines.sql",
        original="{{ audit_local_date('transactions.transaction_timestamp') }}",
        broken="cast(transactions.transaction_timestamp as date)",
        stands_for="the audit is wrong itself",
    ),
    Mutant(
        name="audit_follows_a_period_cut_short",
        file="models/audit/audit_measures.sql",
        original="    from whole as before\n",
        broken="    from active as before\n",
        stands_for="the audit is wrong itself",
    ),
    Mutant(
        name="controls_without_raw",
        file="models/audit/audit_controls.sql",
        original="source_value is distinct from raw_value + quarantined_value",
        broken="false",
        stands_for="rows that never came are no difference",
    ),
    Mutant(
        name="controls_without_the_quarantine",
        file="models/audit/audit_controls.sql",
        original="raw_value + quarantined_value",
        broken="raw_value",
        stands_for="rows that were set aside are taken for lost",
    ),
    Mutant(
        name="controls_with_the_quarantine_of_another_load",
        file="models/audit/audit_controls.sql",
        original="            and counted.load_id = quarantined.load_id\n",
        broken="",
        stands_for="what an earlier load set aside explains what this one lost",
    ),
    Mutant(
        name="controls_without_staging",
        file="models/audit/audit_controls.sql",
        original="raw_value is distinct from staging_value",
        broken="false",
        stands_for="a row too many in staging is no difference",
    ),
    Mutant(
        name="controls_without_the_marts",
        file="models/audit/audit_controls.sql",
        original="staging_value is distinct from mart_value + explained_difference",
        broken="false",
        stands_for="what people read is not held against the source",
    ),
    Mutant(
        name="controls_of_what_was_counted",
        file="models/audit/audit_controls.sql",
        original="coalesce(at_source.is_latest_load, true) as",
        broken="coalesce(at_source.is_latest_load, false) as",
        stands_for="a table that was never counted passes",
    ),
    Mutant(
        name="controls_explain_anything",
        file="models/audit/audit_controls.sql",
        original="staging_value is distinct from mart_value + explained_difference",
        broken="staging_value is distinct from mart_value and difference_reason is null",
        stands_for="what has a reason may differ by any number",
    ),
    Mutant(
        name="kpi_part_renamed",
        file="seeds/kpi_catalog.csv",
        original="\nbaskets,Baskets,",
        broken="\nvisits,Visits,",
        stands_for="what is made of a KPI is held against none",
    ),
    Mutant(
        name="kpi_made_of_others_renamed",
        file="seeds/kpi_catalog.csv",
        original="\nlines_per_basket,Lines per basket,",
        broken="\nproducts_per_basket,Products per basket,",
        stands_for="a KPI that a test names is not there to be tested",
    ),
    Mutant(
        name="kpi_share_that_is_a_count",
        file="seeds/kpi_catalog.csv",
        original="private_label_net_sales_usd,net_sales_usd,rate,",
        broken="private_label_net_sales_usd,net_sales_usd,count,",
        stands_for="a share is not held to 0 to 1",
    ),
    Mutant(
        name="kpi_measures_by_campaign_not_by_day",
        file=f"{KPI_STEPS}/int_kpis__measures_unpivoted.sql",
        original="            from {{ ref(model) }}\n",
        broken=(
            "            from {{ ref(model) }}\n"
            "            where slice <> 'campaign' or grain <> 'day'\n"
        ),
        stands_for="a slice that kpi_measures has, and that no KPI publishes, is lost",
    ),
    Mutant(
        name="kpi_target_of_a_grain_that_is_not_published",
        file="seeds/kpi_targets.csv",
        original="household_retention_rate,month,",
        broken="household_retention_rate,day,",
        stands_for="nothing is ever held against the target",
    ),
    Mutant(
        name="kpi_target_of_no_grain",
        file="seeds/kpi_targets.csv",
        original="net_sales,week,",
        broken="net_sales,,",
        stands_for="a null is an accepted value",
    ),
    Mutant(
        name="kpi_target_that_ends_before_it_begins",
        file="seeds/kpi_targets.csv",
        original="net_sales,week,2017-01-01,2017-12-31,",
        broken="net_sales,week,2017-12-31,2017-01-01,",
        stands_for="the target never holds",
    ),
    Mutant(
        name="controls_of_a_system_left_out",
        file="models/audit/audit_controls.sql",
        original="{% if 'online_shop' in var('source_systems') %}",
        broken="{% if var('source_systems') == ['online_shop'] %}",
        stands_for="a system is held against nothing that its source counted",
    ),
    Mutant(
        name="controls_with_the_quarantine_of_any_column",
        file="models/audit/audit_controls.sql",
        original=(
            "            and (counted.column_name is not distinct from quarantined.column_name)\n"
        ),
        broken="",
        stands_for="a control is there once a column of its table",
    ),
)

SHOP = f"{STAGING}/online_shop"
KEYS = "assert_source_keys_never_meet"
SHOP_ORDERS = "stg_online_shop__orders+ stg_online_shop__order_items+"
UNIONS = "int_shared__sales_lines_unioned+ int_shared__households_unioned+"
SYSTEMS = (
    Mutant(
        name="keys_without_the_code",
        file="macros/keys.sql",
        original='[], ["\'" ~ key_prefix(source_system) ~ "\'"]',
        broken="[], [\"''\"]",
        stands_for="ids of two systems are taken for one another",
        select=SHOP_ORDERS,
    ),
    Mutant(
        name="ids_of_another_type_than_the_catalog",
        file=f"{SHOP}/stg_online_shop__items.sql",
        original="source_key('online_shop', 'id')",
        broken="source_key('online_shop', 'cast(id as decimal(38, 9))')",
        stands_for="items 7 and 7.000000000 are two",
    ),
    Mutant(
        name="blank_ids_are_ids",
        file="macros/keys.sql",
        original="{%- do conditions.append('not ' ~ is_blank(text)) -%}",
        broken="{%- do conditions.append(text ~ ' is not null') -%}",
        stands_for="whoever left the field empty is one person",
        select=KEYS,
    ),
    Mutant(
        name="blanks_of_other_kinds_are_ids",
        file="macros/keys.sql",
        original="regexp_full_match({{ text }}, '[[:space:]]*')",
        broken="{{ text }} = ''",
        stands_for="a blank or a tab is an id",
        select=KEYS,
    ),
    Mutant(
        name="parts_of_a_key_run_together",
        file="macros/keys.sql",
        original="""parts.extend(["'/'", text])""",
        broken="parts.append(text)",
        stands_for="line 23 of order 1 is line 3 of order 12",
        select=KEYS,
    ),
    Mutant(
        name="separator_within_a_part",
        file="macros/keys.sql",
        original="""replace(replace(" ~ text ~ ", '%', '%25'), '/', '%2F')""",
        broken="""replace(" ~ text ~ ", '%', '%25')""",
        stands_for="two combinations of texts are one key",
        select=KEYS,
    ),
    Mutant(
        name="escape_within_a_part",
        file="macros/keys.sql",
        original="""replace(replace(" ~ text ~ ", '%', '%25'), '/', '%2F')""",
        broken="""replace(" ~ text ~ ", '/', '%2F')""",
        stands_for="a text that looks escaped is one key with that which is",
        select=KEYS,
    ),
    Mutant(
        name="any_part_makes_a_key",
        file="macros/keys.sql",
        original="conditions | join(' and ')",
        broken="conditions | join(' or ')",
        stands_for="a key without one of its values is a key",
        select=KEYS,
    ),
    Mutant(
        name="unknown_member_like_a_key",
        file="macros/keys.sql",
        original="{% macro unknown_key() -%}\n    'Unknown'",
        broken="{% macro unknown_key() -%}\n    '{{ key_prefix(built_systems()[0]) }}7'",
        stands_for="a real id is that of nobody known",
        select=KEYS,
    ),
    Mutant(
        name="days_are_whole_by_a_table_that_is_not_there",
        file="macros/source_systems.sql",
        original="'dated_tables': ['orders', 'order_items']",
        broken="'dated_tables': ['orders', 'order_lines']",
        stands_for="a table is named otherwise than in ingestion/tables.py",
        select="int_shared__load_control_totals_unioned",
    ),
    Mutant(
        name="union_of_the_first_system_only",
        file="macros/entities.sql",
        original="{%- for system in built_systems() -%}\n        {%- set model =",
        broken="{%- for system in built_systems()[:1] -%}\n        {%- set model =",
        stands_for="the second system is left out",
        select=UNIONS,
    ),
    Mutant(
        name="union_names_the_first_system",
        file="macros/entities.sql",
        original='",\\n        \'" ~ system',
        broken='",\\n        \'" ~ built_systems()[0]',
        stands_for="all rows are of one system",
        select=UNIONS,
    ),
    Mutant(
        name="households_that_are_listed_only_lost",
        file=f"{INTERMEDIATE}/customers/int_customers__households_identified.sql",
        original="    from listed\n",
        broken="    from demographics\n",
        stands_for="customers without an order are no households",
    ),
    Mutant(
        name="line_without_its_system",
        file=f"{INTERMEDIATE}/sales/int_sales__lines_priced.sql",
        original="        source_system,\n",
        broken="        'retail_db' as source_system,\n",
        stands_for="all lines are of one system",
    ),
    Mutant(
        name="shop_customers_are_households_of_the_stores",
        file=f"{SHOP}/stg_online_shop__orders.sql",
        original="source_key('online_shop', 'customer_id')",
        broken="source_key('retail_db', 'customer_id')",
        stands_for="customer 101 is household 101",
    ),
    Mutant(
        name="shop_refunded_orders_are_sales",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="where order_status = 'paid'",
        broken="where order_status <> 'cancelled'",
        stands_for="what is given back is sold",
    ),
    Mutant(
        name="shop_lines_of_one_item_not_summed",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="    group by basket_id, product_id\n",
        broken="    group by basket_id, product_id, line_number\n",
        stands_for="the grain is the shop's and not the project's",
    ),
    Mutant(
        name="shop_lines_of_one_item_taken_once",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="        sum(list_price_usd) as",
        broken="        max(list_price_usd) as",
        stands_for="the second line of an item is lost",
    ),
    Mutant(
        name="shop_net_is_the_list_price",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="summed.list_price_usd - summed.discount_usd",
        broken="summed.list_price_usd",
        stands_for="discounts are revenue",
    ),
    Mutant(
        name="shop_discount_is_a_manufacturers_coupon",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="{{ usd('0') }} as coupon_discount_usd",
        broken="{{ usd('summed.discount_usd') }} as coupon_discount_usd",
        stands_for="the discount is taken off twice",
    ),
    Mutant(
        name="shop_amount_in_floating_point",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="{{ usd('summed.list_price_usd - summed.discount_usd') }}",
        broken="cast(summed.list_price_usd - summed.discount_usd as double)",
        stands_for="a type that the contract of staging does not have",
    ),
    Mutant(
        name="shop_items_without_a_size_column",
        file=f"{SHOP}/stg_online_shop__items.sql",
        original="        cast(null as {{ dbt.type_string() }}) as package_size,\n",
        broken="",
        stands_for="a column that the contract of staging has is not there",
    ),
    Mutant(
        name="shop_load_of_the_order_only",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="greatest(paid.load_id, summed.load_id)",
        broken="paid.load_id",
        stands_for="lines that come later than their order are missed",
    ),
    Mutant(
        name="shop_load_of_the_lines_only",
        file=f"{SHOP}/stg_online_shop__sales_lines.sql",
        original="greatest(paid.load_id, summed.load_id)",
        broken="summed.load_id",
        stands_for="orders that are paid later are missed",
    ),
    Mutant(
        name="shop_cents_are_dollars",
        file=f"{SHOP}/stg_online_shop__order_items.sql",
        original="{{ usd('0.01 * discount_cents') }}",
        broken="{{ usd('discount_cents') }}",
        stands_for="discounts are a hundred times too large",
    ),
    Mutant(
        name="shop_own_brand_is_national",
        file=f"{SHOP}/stg_online_shop__items.sql",
        original="when own_brand then 'Private'",
        broken="when own_brand then 'National'",
        stands_for="private labels of the shop are not counted",
    ),
    Mutant(
        name="text_time_without_its_zone",
        file="macros/business_time.sql",
        original="timezone('UTC', cast({{ text }} as timestamp with time zone))",
        broken="cast({{ text }} as timestamp)",
        stands_for="the zone that the text names is dropped",
        select=SHOP_ORDERS,
    ),
    Mutant(
        name="kpi_periods_by_tables_of_any_system",
        file=f"{KPI_STEPS}/int_kpis__periods_bounded.sql",
        original='"(source_system = \'" ~ system ~ "\' and table_name',
        broken='"(table_name',
        stands_for="another system's table of the same name says how far the days are whole",
    ),
    Mutant(
        name="audit_takes_two_systems_ids_for_one",
        file="models/audit/online_shop/audit_online_shop__lines.sql",
        original="'web:' || weekly.id as basket_id",
        broken="'rdb:' || weekly.id - 1000 as basket_id",
        stands_for="the audit is wrong itself",
    ),
    Mutant(
        name="audit_of_the_shop_with_cancelled_orders",
        file="models/audit/online_shop/audit_online_shop__lines.sql",
        original="    where status = 'paid'\n",
        broken="",
        stands_for="the audit is wrong itself",
    ),
    Mutant(
        name="audit_of_the_shop_in_utc",
        file="models/audit/online_shop/audit_online_shop__lines.sql",
        original="{{ audit_local_date('placed_at') }}",
        broken="cast(placed_at as date)",
        stands_for="the audit is wrong itself",
    ),
    Mutant(
        name="controls_of_one_discount_alone",
        file="models/audit/audit_controls.sql",
        original="'100 * (loyalty_discount_usd + coupon_match_discount_usd + coupon_discount_usd)'",
        broken="'100 * loyalty_discount_usd'",
        stands_for="what is booked as another discount, too, is taken off twice",
    ),
    Mutant(
        name="controls_with_rows_of_other_systems",
        file="models/audit/audit_controls.sql",
        original="""'stg_retail_db__transactions', 'where': "source_system = 'retail_db'\"""",
        broken="""'stg_retail_db__transactions', 'where': "true\"""",
        stands_for="what another system sold hides what this one lost",
    ),
    Mutant(
        name="controls_leave_lines_of_no_order_unexplained",
        file="models/audit/audit_controls.sql",
        original="where order_id not in (select id from ",
        broken="where order_id in (select -id from ",
        stands_for="lines whose order is in quarantine are taken for lost",
    ),
    Mutant(
        name="controls_leave_refunded_orders_unexplained",
        file="models/audit/audit_controls.sql",
        original="where status in ('cancelled', 'refunded')",
        broken="where status in ('cancelled')",
        stands_for="what is no sale is taken for lost",
    ),
    Mutant(
        name="shop_line_without_a_number",
        file=f"{SHOP}/stg_online_shop__order_items.sql",
        original="        line_number,\n",
        broken="        nullif(line_number, 1) as line_number,\n",
        stands_for="a key with a null in it",
    ),
)

VERSIONS = (
    Mutant(
        name="versions_begin_with_the_first_run",
        file="macros/dated_versions.sql",
        original="then timestamp '1900-01-01'\n",
        broken="then dbt_valid_from\n",
        stands_for="sales before the first build find no version",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="versions_all_begin_in_1900",
        file="macros/dated_versions.sql",
        original="(partition by {{ key }} order by dbt_valid_from)",
        broken="(partition by dbt_scd_id order by dbt_valid_from)",
        stands_for="a line finds every version of its product and counts several times",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="versions_end_with_null",
        file="macros/dated_versions.sql",
        original="coalesce(dbt_valid_to, timestamp '9999-12-31') as valid_to",
        broken="dbt_valid_to as valid_to",
        stands_for="a join by time loses what is current",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="versions_all_current",
        file="macros/dated_versions.sql",
        original="dbt_valid_to is null as is_current",
        broken="true as is_current",
        stands_for="a filter on the current version counts products several times",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="versions_current_unless_deleted",
        file="macros/dated_versions.sql",
        original="dbt_valid_to is null as is_current",
        broken="dbt_valid_to is null and dbt_is_deleted = 'False' as is_current",
        stands_for="a product that left the catalog has no current version",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="product_versions_of_deleted_products_with_attributes",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="coalesce(case when is_present then department end, 'Unknown')",
        broken="coalesce(department, 'Unknown')",
        stands_for="what left the catalog is still in its department, unlike in dim_products",
    ),
    Mutant(
        name="product_versions_of_deleted_products_private",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="coalesce(is_present and brand_type = 'Private', false)",
        broken="coalesce(brand_type = 'Private', false)",
        stands_for="what left the catalog is still private label, unlike in dim_products",
    ),
    Mutant(
        name="product_versions_without_deletions",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="    from dated\n",
        broken="    from dated\n    where is_present\n",
        stands_for="sales after a deletion find no version",
    ),
    Mutant(
        name="product_versions_of_the_catalog_only",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="    union all\n    select * from without_history\n",
        broken="",
        stands_for="products that the catalog never had are lost",
    ),
    Mutant(
        name="product_versions_of_what_has_history_twice",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="    where history.product_id is null\n",
        broken="",
        stands_for="the dimension's rows come on top of the versions",
    ),
    Mutant(
        name="versions_of_systems_that_are_not_built",
        file="macros/dated_versions.sql",
        original="\n    where {{ is_of_a_built_system() }}",
        broken="",
        stands_for="what was taken out of source_systems stays in the marts",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="product_category_of_versions_is_the_type",
        file=f"{MARTS}/sales/dim_product_versions.sql",
        original="case when is_present then product_category end",
        broken="case when is_present then product_type end",
        stands_for="columns are mixed up",
    ),
    Mutant(
        name="household_versions_keep_withdrawn_answers",
        file=f"{MARTS}/customers/dim_household_versions.sql",
        original="coalesce(case when is_present then income_band end, 'Unknown')",
        broken="coalesce(income_band, 'Unknown')",
        stands_for="withdrawn answers are shown as current, unlike in dim_households",
    ),
    Mutant(
        name="versions_are_never_of_a_deletion",
        file="macros/dated_versions.sql",
        original="dbt_is_deleted = 'False' as is_present",
        broken="true as is_present",
        stands_for="a withdrawal is not seen",
        select="dim_product_versions dim_household_versions",
    ),
    Mutant(
        name="household_versions_of_the_survey_only",
        file=f"{MARTS}/customers/dim_household_versions.sql",
        original="    union all\n    select * from without_history\n",
        broken="",
        stands_for="two thirds of the households find no version",
    ),
    Mutant(
        name="household_versions_of_what_has_history_twice",
        file=f"{MARTS}/customers/dim_household_versions.sql",
        original="    where history.household_id is null\n",
        broken="",
        stands_for="the dimension's rows come on top of the versions",
    ),
    Mutant(
        name="household_versions_with_the_order_of_the_other_band",
        file=f"{MARTS}/customers/dim_household_versions.sql",
        original="income_bands.band_order as income_band_order",
        broken="age_bands.band_order as income_band_order",
        stands_for="columns are mixed up",
    ),
)

SAMPLE_FIGURES = (
    Mutant(
        name="sample_figure_left_out",
        file="seeds/sample_figures.csv",
        original="stores_selling,transactions,1469307,457\n",
        broken="",
        stands_for="a figure that is measured is compared with none",
    ),
    Mutant(
        name="sample_figure_of_a_table_that_is_not_counted",
        file="seeds/sample_figures.csv",
        original="promotion_second_places,promotions,",
        broken="promotion_second_places,promotion_weeks,",
        stands_for="a table is named otherwise, and its figure never compared",
    ),
    Mutant(
        name="sample_figure_with_a_mistyped_number_of_rows",
        file="seeds/sample_figures.csv",
        original="\nbaskets,transactions,1469307,",
        broken="\nbaskets,transactions,1469370,",
        stands_for="the figure is of a table that never has as many rows",
    ),
)

# Every row twice, in models of which no unit test is: their keys are proven, here or further on.
LAST_STEPS = {
    f"{INTERMEDIATE}/shared/int_shared__products_unioned.sql": "unioned",
    f"{INTERMEDIATE}/shared/int_shared__survey_answers_unioned.sql": "unioned",
    f"{INTERMEDIATE}/shared/int_shared__campaigns_unioned.sql": "unioned",
    f"{INTERMEDIATE}/shared/int_shared__campaign_households_unioned.sql": "unioned",
    f"{INTERMEDIATE}/shared/int_shared__coupon_redemptions_unioned.sql": "unioned",
    f"{INTERMEDIATE}/shared/int_shared__load_control_totals_unioned.sql": "unioned",
    "models/audit/retail_db/audit_retail_db__redemptions.sql": "redemptions",
    "models/audit/retail_db/audit_retail_db__targets.sql": "dated",
}
KEYS = tuple(
    Mutant(
        name=f"rows_twice_in_{PurePosixPath(file).stem}",
        file=file,
        original=f"\n)\n\nselect * from {step}\n",
        broken=f"\n)\n\nselect * from {step}\nunion all\nselect * from {step}\n",
        stands_for="a join or a union gives every row twice",
    )
    for file, step in LAST_STEPS.items()
)

MUTANTS = (
    *SYSTEMS,
    *BUSINESS_TIME,
    *MONEY,
    *LINES,
    *BASKETS,
    *INCREMENTAL,
    *PROMOTIONS,
    *PRODUCTS_AND_STORES,
    *HOUSEHOLDS,
    *HOUSEHOLD_MONTHS,
    *CAMPAIGNS_AND_COUPONS,
    *CALENDAR,
    *SNAPSHOTS,
    *VERSIONS,
    *KPIS,
    *SAMPLE_FIGURES,
    *KEYS,
)
