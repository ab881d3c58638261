-- Facts of the sample company's data, measured once and written down in seeds/sample_figures.csv.
-- A row here is a figure that the models give otherwise, or that is not compared where it should be.
-- Another company, and a part of the sample (`python -m ingestion --until`), have other figures: a
-- figure is compared where its table has as many rows as the sample has. Where the sales lines are
-- all there, so is the sample, and a table with another number of rows is a finding. What must hold
-- of any data does so always: the seed and this test name the same figures, of tables that are
-- counted here, each with one number of rows.
{% set of_retailer = "source_system = 'retail_db'" %}

with expected as (

    select * from {{ ref('sample_figures') }}

),

lines as (

    select *
    from {{ ref('fct_sales_lines') }}
    where {{ of_retailer }}

),

baskets as (

    select *
    from {{ ref('fct_baskets') }}
    where {{ of_retailer }}

),

figures as (

    select
        'sales_lines' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from lines
    union all
    select
        'net_sales_by_line' as figure,
        cast(sum(net_sales_usd) as decimal(28, 2)) as actual_value
    from lines
    union all
    select
        'baskets' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from baskets
    union all
    select
        'net_sales_by_basket' as figure,
        cast(sum(net_sales_usd) as decimal(28, 2)) as actual_value
    from baskets
    union all
    select
        'days_with_sales' as figure,
        cast(count(distinct business_date) as decimal(28, 2)) as actual_value
    from baskets
    union all
    select
        'households_shopping' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from {{ ref('dim_households') }}
    where
        has_purchased
        and {{ of_retailer }}
    union all
    select
        'stores_selling' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from {{ ref('dim_stores') }}
    where
        first_sale_date is not null
        and {{ of_retailer }}
    union all
    select
        'lines_by_wrong_utc_date' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from lines
    where {{ business_week('cast(sold_at as date)') }} <> business_week
    union all
    select
        'lines_not_in_catalog' as figure,
        cast(count(*) as decimal(28, 2)) as actual_value
    from lines
    left join {{ ref('dim_products') }} as products
        on lines.product_id = products.product_id
    where not coalesce(products.is_in_catalog, false)
    union all
    select
        'coupon_duplicates' as figure,
        cast(
            (select count(*) from {{ ref('stg_retail_db__coupons') }})
            - (
                select count(*)
                from {{ ref('bridge_coupon_products') }}
                where {{ of_retailer }}
            ) as decimal(28, 2)
        ) as actual_value
    union all
    select
        'promotion_second_places' as figure,
        cast(
            (select count(*) from {{ ref('stg_promotion_feed__promotions') }})
            - (
                select count(*)
                from {{ ref('fct_promotion_weeks') }}
                where {{ of_retailer }}
            ) as decimal(28, 2)
        ) as actual_value

),

held as (

    select
        'transactions' as table_name,
        count(*) as row_count
    from {{ ref('stg_retail_db__transactions') }}
    union all
    select
        'coupons' as table_name,
        count(*) as row_count
    from {{ ref('stg_retail_db__coupons') }}
    union all
    select
        'promotions' as table_name,
        count(*) as row_count
    from {{ ref('stg_promotion_feed__promotions') }}

),

tables_of_sample as (

    select
        table_name,
        min(row_count) as least_row_count,
        max(row_count) as greatest_row_count
    from expected
    group by table_name

),

sample as (

    select count(*) > 0 as is_whole
    from expected
    inner join held
        on
            expected.table_name = held.table_name
            and expected.row_count = held.row_count
    where expected.table_name = 'transactions'

),

judged as (

    select
        coalesce(expected.figure, figures.figure) as figure,
        expected.expected_value,
        figures.actual_value,
        case
            when expected.figure is null then 'the seed does not have it'
            when figures.figure is null then 'this test does not measure it'
            when held.table_name is null then 'its table is not counted here'
            when tables_of_sample.least_row_count <> tables_of_sample.greatest_row_count
                then 'the seed gives its table several numbers of rows'
            when
                held.row_count = expected.row_count
                and (expected.expected_value is distinct from figures.actual_value)
                then 'the models give another'
            when
                held.row_count <> expected.row_count
                and sample.is_whole
                then 'its table has not the rows of the sample, and the sales lines have'
        end as finding
    from expected
    full outer join figures
        on expected.figure = figures.figure
    left join tables_of_sample
        on expected.table_name = tables_of_sample.table_name
    left join held
        on expected.table_name = held.table_name
    cross join sample

)

select *
from judged
where
    finding is not null
    and {{ rows_are_read() }}
