-- Facts of the sample company's data, measured once and written down in seeds/sample_figures.csv.
-- A row here is a figure that the models give otherwise. A figure is left out while its table has
-- another number of rows (a part of the sample), and all of them where other systems are built.
with figures as (

    select
        'sales_lines' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('fct_sales_lines') }}
    union all
    select
        'net_sales_by_line' as figure,
        cast(sum(net_sales_usd) as decimal(18, 2)) as actual_value
    from {{ ref('fct_sales_lines') }}
    union all
    select
        'baskets' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('fct_baskets') }}
    union all
    select
        'net_sales_by_basket' as figure,
        cast(sum(net_sales_usd) as decimal(18, 2)) as actual_value
    from {{ ref('fct_baskets') }}
    union all
    select
        'days_with_sales' as figure,
        cast(count(distinct business_date) as decimal(18, 2)) as actual_value
    from {{ ref('fct_baskets') }}
    union all
    select
        'households_shopping' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('dim_households') }}
    where has_purchased
    union all
    select
        'stores_selling' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('dim_stores') }}
    where first_sale_date is not null
    union all
    select
        'lines_by_wrong_utc_date' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('fct_sales_lines') }}
    where {{ business_week('cast(sold_at as date)') }} <> business_week
    union all
    select
        'lines_not_in_catalog' as figure,
        cast(count(*) as decimal(18, 2)) as actual_value
    from {{ ref('fct_sales_lines') }} as lines
    inner join {{ ref('dim_products') }} as products
        on lines.product_id = products.product_id
    where not products.is_in_catalog
    union all
    select
        'coupon_duplicates' as figure,
        cast(
            (select count(*) from {{ ref('stg_retail_db__coupons') }})
            - (select count(*) from {{ ref('bridge_coupon_products') }}) as decimal(18, 2)
        ) as actual_value
    union all
    select
        'promotion_second_places' as figure,
        cast(
            (select count(*) from {{ ref('stg_promotion_feed__promotions') }})
            - (select count(*) from {{ ref('fct_promotion_weeks') }}) as decimal(18, 2)
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

)

select
    expected.figure,
    expected.expected_value,
    figures.actual_value
from {{ ref('sample_figures') }} as expected
inner join held
    on
        expected.table_name = held.table_name
        and expected.row_count = held.row_count
left join figures
    on expected.figure = figures.figure
where expected.expected_value is distinct from figures.actual_value
