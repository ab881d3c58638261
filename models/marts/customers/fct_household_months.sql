-- Grain: one row a household and calendar month, from the month of its first purchase to the
-- month of the latest sale, whether it shopped in the month or not.
-- Sales and visit_count add up over households and months; days_since_last_visit does not.
-- Sales of no known household are not here: nobody can come back.
with all_baskets as (

    select * from {{ ref('fct_baskets') }}

),

dates as (

    select * from {{ ref('dim_dates') }}

),

baskets as (

    select *
    from all_baskets
    where household_id <> {{ unknown_key() }}

),

first_purchases as (

    select
        household_id,
        min(business_date) as first_purchase_date
    from baskets
    group by household_id

),

-- Sales of no known household, too, show how far the data goes.
latest as (

    select max(business_date) as latest_business_date
    from all_baskets

),

months as (

    select
        month_start_date,
        max(business_date) as month_end_date
    from dates
    where not is_unknown
    group by month_start_date

),

spine as (

    select
        first_purchases.household_id,
        first_purchases.first_purchase_date,
        months.month_start_date,
        -- The latest month is seen only as far as the data goes.
        least(months.month_end_date, latest.latest_business_date) as observed_until_date
    from first_purchases
    cross join latest
    inner join months
        on
            first_purchases.first_purchase_date <= months.month_end_date
            and latest.latest_business_date >= months.month_start_date

),

monthly as (

    select
        household_id,
        cast({{ dbt.date_trunc('month', 'business_date') }} as date) as month_start_date,
        count(*) as visit_count,
        sum(net_sales_usd) as net_sales_usd,
        max(business_date) as last_visit_date
    from baskets
    group by household_id, cast({{ dbt.date_trunc('month', 'business_date') }} as date)

),

joined as (

    select
        spine.household_id,
        spine.month_start_date,
        spine.observed_until_date,
        spine.first_purchase_date,
        coalesce(monthly.visit_count, 0) as visit_count,
        coalesce(monthly.net_sales_usd, 0) as net_sales_usd,
        max(monthly.last_visit_date) over (
            partition by spine.household_id
            order by spine.month_start_date
            rows between unbounded preceding and current row
        ) as last_visit_date
    from spine
    left join monthly
        on
            spine.household_id = monthly.household_id
            and spine.month_start_date = monthly.month_start_date

),

final as (

    select
        household_id,
        month_start_date,
        visit_count,
        {{ usd('net_sales_usd') }} as net_sales_usd,
        last_visit_date,
        {{ days_between('last_visit_date', 'observed_until_date') }} as days_since_last_visit,
        visit_count > 0 as is_active,
        month_start_date = cast({{ dbt.date_trunc('month', 'first_purchase_date') }} as date) as is_new,
        -- Months of a household follow each other without a gap, so the row before is last month.
        visit_count > 0
        and coalesce(
            lag(visit_count) over (partition by household_id order by month_start_date), 0
        ) > 0 as is_retained
    from joined

)

select * from final
