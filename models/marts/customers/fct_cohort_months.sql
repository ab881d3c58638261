-- Grain: one row a cohort (the calendar month of the first purchase) and calendar month from then
-- to the month of the latest sale.
-- Households of a month add up over cohorts, those of a cohort do not add up over months.
with household_months as (

    select * from {{ ref('fct_household_months') }}

),

cohorts as (

    select
        household_id,
        min(month_start_date) as cohort_month_start_date
    from household_months
    group by household_id

),

joined as (

    select
        cohorts.cohort_month_start_date,
        household_months.month_start_date,
        household_months.is_active
    from household_months
    inner join cohorts on household_months.household_id = cohorts.household_id

),

final as (

    select
        cohort_month_start_date,
        month_start_date,
        {{ months_between('cohort_month_start_date', 'month_start_date') }} as months_since_first_purchase,
        count(*) as household_count,
        count(case when is_active then 1 end) as active_household_count
    from joined
    group by cohort_month_start_date, month_start_date

)

select * from final
