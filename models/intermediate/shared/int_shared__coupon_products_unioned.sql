-- Grain: one row a product that a coupon is valid for; exact duplicates are still here.
with unioned as (

    {{ union_of_systems('coupon_products') }}

)

select * from unioned
